"""The formulations by name: what each is, its settings, what its solver must be handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scapre.methods.confined import confined_solver
from scapre.methods.paper import paper_solver
from scapre.methods.released import basic_solver, scale_solver
from scapre.methods.solution import Solver
from scapre.methods.uce import uce_solver
from scapre.statistics import ConceptStatistics

Settings = dict[str, float | int | bool]


@dataclass(frozen=True)
class Method:
    """A formulation.

    Attributes:
        about: one line.
        defaults: settings and their values.
        solver: ``(statistics[, weights][, generator], **settings) -> Solver``.
        draws: the solver takes a generator.
        joint: the solver takes the original weights of all layers it will edit.
        kinds: projections it edits.
        positions: which positions of a prompt its contexts are: from the last content token on, or all.
    """

    about: str
    defaults: Settings
    solver: Callable[..., Solver]
    draws: bool = False
    joint: bool = False
    kinds: tuple[str, ...] = ("to_v", "to_k")
    positions: Literal["content", "whole"] = "content"


_NOISE: Settings = {"noise_sigma": 0.01, "entropy_samples": 20, "entropy_bins": 20}
_GATE: Settings = {"gate_temperature": 1.0, "gate_power": 1.0}
METHODS: dict[str, Method] = {
    "scapre": Method(
        "ours: confined to the rows that know the concepts, exact information, optional retained concepts",
        {
            # chosen on the validation concepts: notebook 05
            "ridge": 20.0,
            "erase_scale": 1.0,
            "retain_scale": 0.05,
            "p": 1.0,
            "noise_sigma": 1.0,
            "use_mask": True,
            "bures_iters": 1,
            "alignment": 0.1,
        },
        confined_solver,
    ),
    "scapre-paper": Method(
        "the paper's equations: spectral trace regulariser, Sylvester solve, Bures geodesic",
        {
            "ridge": 0.5,
            "erase_scale": 1.0,
            "noise_sigma": 0.01,
            "geodesic_time": 0.1,
            "spectral_gate": True,
            "use_mask": True,
        },
        paper_solver,
    ),
    "scapre-scale": Method(
        "released code, large tables: masked rows, row systems, Bures row step",
        {"ridge": 0.5, "erase_scale": 3.0, "p": 5.0, "use_mask": True, "bures_iters": 1, "spectral_gate": False}
        | _GATE
        | {"safety_valve": False}
        | _NOISE,
        scale_solver,
        draws=True,
    ),
    "scapre-basic": Method(
        "released code, Imagenette: masked ridge regression blended by row entropy",
        {"ridge": 0.5, "erase_scale": 1.0, "p": 2.0, "alpha_min": 0.8, "smooth_spectral": False} | _GATE | _NOISE,
        basic_solver,
        draws=True,
    ),
    "uce": Method(
        "unified concept editing: ridge regression at the last content token",
        {"ridge": 0.5, "erase_scale": 1.0, "retain_scale": 1.0},
        uce_solver,
    ),
}


def methods() -> dict[str, str]:
    """List the formulations: name → one line."""
    return {name: method.about for name, method in METHODS.items()}


def find_method(name: str) -> Method:
    """Look a formulation up.

    Raises:
        ValueError: no such method (the message lists the known ones).
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]


def complete(name: str, settings: Mapping[str, Any]) -> Settings:
    """Fill settings up with the method's defaults.

    Raises:
        ValueError: unknown method or setting, or a ridge that is not positive.
    """
    known = find_method(name).defaults
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"{name} has no setting {', '.join(unknown)}; it knows {', '.join(known)}")
    values = known | dict(settings)
    if "ridge" in values and not values["ridge"] > 0:
        raise ValueError(f"ridge must be positive, got {values['ridge']}: it keeps the solution unique")
    return values


def build_solver(
    name: str, statistics: ConceptStatistics, weights: Sequence[Tensor], settings: Mapping[str, Any], seed: int = 0
) -> Solver:
    """Prepare a formulation for one prompt set: everything that no single layer decides.

    Args:
        weights: the original projections it will edit, ``(d_out, d)`` each.
        seed: of the released formulations' random draws.

    Raises:
        ValueError: unknown method or setting.
    """
    method, values = find_method(name), complete(name, settings)
    handed: list[Any] = [statistics]
    if method.joint:
        handed.append(weights)
    if method.draws:
        handed.append(torch.Generator().manual_seed(seed))
    return method.solver(*handed, **values)
