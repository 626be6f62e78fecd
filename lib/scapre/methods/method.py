"""What the registry knows of a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scapre.methods.solution import Editor, Solver

Settings = dict[str, Any]  # numbers, switches and words
TRIES = 12  # combinations of settings every solver is given on the validation concepts


@dataclass(frozen=True)
class Method:
    """A formulation.

    Attributes:
        about: one line.
        defaults: settings and their values.
        home: below ``scapre.methods``, where its solver is defined; where it edits the pipeline as a whole its
            editor, or its class if it trains; imported when it is first used.
        grids: the settings that move it most between forgetting and keeping, and what to try of each, the defaults
            among them; of solvers ``TRIES`` combinations that bracket the best on emoji-sd.
        many: what its authors change when they erase many concepts at once.
        draws: the solver takes a generator.
        joint: the solver takes the original weights of all layers it will edit.
        kinds: projections it edits.
        matches: without anchors given, targets are replaced by their nearest retained concepts.
        positions: which positions of a prompt its contexts are: from the last content token on, or all.
        whole: it edits the pipeline as a whole (it prunes or trains).
        stages: it edits the text encoders before the projections (``editing.stages``).
        templates: sentences every name is put into unless others are asked for.
    """

    about: str
    defaults: Settings
    home: str
    grids: dict[str, tuple[float, ...]]
    many: Settings = field(default_factory=dict)
    draws: bool = False
    joint: bool = False
    matches: bool = False
    kinds: tuple[str, ...] = ("to_v", "to_k")
    positions: Literal["content", "whole"] = "content"
    whole: bool = False
    stages: bool = False
    templates: str = "name"

    @property
    def solver(self) -> Callable[..., Solver] | None:
        """``(statistics[, weights][, generator], **settings) -> Solver``; None where ``whole``."""
        return None if self.whole else resolve_name(f"scapre.methods.{self.home}")

    @property
    def edit(self) -> Editor | None:
        """See ``solution.Editor``; None where there is a solver."""
        if not self.whole:
            return None
        found = resolve_name(f"scapre.methods.{self.home}")
        if not isinstance(found, type):
            return found
        from scapre.methods.trained.run import run

        return partial(run, found)
