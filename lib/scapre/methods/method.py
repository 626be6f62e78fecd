"""What the registry knows of a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scapre.methods.solution import Editor, Solver

Settings = dict[str, Any]  # numbers, switches and words


@dataclass(frozen=True)
class Method:
    """A formulation.

    Attributes:
        about: one line.
        defaults: settings and their values.
        solver: ``(statistics[, weights][, generator], **settings) -> Solver``; None where the method edits
            the pipeline as a whole.
        knob: the setting that moves it most between forgetting and keeping.
        grid: six values of the knob, the default among them, that bracket its best on emoji-sd.
        draws: the solver takes a generator.
        joint: the solver takes the original weights of all layers it will edit.
        kinds: projections it edits.
        matches: without anchors given, targets are replaced by their nearest retained concepts.
        positions: which positions of a prompt its contexts are: from the last content token on, or all.
        edit: of methods that edit the pipeline as a whole (they prune or train); see ``solution.Editor``.
    """

    about: str
    defaults: Settings
    solver: Callable[..., Solver] | None
    knob: str
    grid: tuple[float, ...]
    draws: bool = False
    joint: bool = False
    matches: bool = False
    kinds: tuple[str, ...] = ("to_v", "to_k")
    positions: Literal["content", "whole"] = "content"
    edit: Editor | None = None
