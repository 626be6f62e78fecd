"""What each part of a formulation is worth: the same erasing with the parts off, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from scapre.concepts.emoji import STYLES
from scapre.experiments.case import Case
from scapre.experiments.cases import HELD, scaling_cases, vocabulary
from scapre.experiments.gating import BY_LOT, KNOWING, SOFT
from scapre.experiments.tries import crowd_cases
from scapre.methods.registry import METHODS
from scapre.pictures.evaluation import plan_sides

_SAID: dict[str, Any] = {"templates": "sentences"}
#: every target weighs what it does among twenty, instead of η/n
SUMMED = "− mean over targets"
#: part switched off → (method, settings, whether concepts to keep are named, options of erase)
ABLATIONS: dict[str, tuple[str, dict[str, Any], bool, dict[str, Any]]] = {
    "confined": ("confined", {}, True, _SAID),
    "− gate": ("confined", {"use_mask": False}, True, _SAID),
    "− Bures row step": ("confined", {"bures_iters": 0}, True, _SAID),
    "− matched anchors": ("confined", {}, True, _SAID | {"anchors": " "}),
    SUMMED: ("confined", {}, True, _SAID),
    "− retained term": ("confined", {"retain_scale": 0.0}, True, _SAID),
    "− retained concepts": ("confined", {}, False, _SAID),
    "− sentences": ("confined", {}, True, {"templates": "name"}),
    "scapre-paper": ("scapre-paper", {}, True, _SAID),
    "paper − R": ("scapre-paper", {"spectral_gate": False}, True, _SAID),
    "paper − geodesic": ("scapre-paper", {"geodesic_time": 0.0}, True, _SAID),
    "paper − decoupler": ("scapre-paper", {"use_mask": False}, True, _SAID),
    "scapre-scale": ("scapre-scale", {}, True, _SAID),
    "scale − mask": ("scapre-scale", {"use_mask": False}, True, _SAID),
    "scale − Bures row step": ("scapre-scale", {"bures_iters": 0}, True, _SAID),
    "scale + spectral gate": ("scapre-scale", {"spectral_gate": True}, True, _SAID),
}


def ablation_cases(counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """Switch the parts of each formulation off, one at a time."""
    names, validation = vocabulary()
    cases = []
    for order, n in product(orders, counts):
        mixed = np.random.default_rng(order).permutation(names).tolist()
        pictures = plan_sides({"unlearn": mixed[:n], "preserve": mixed[-2 * HELD :]}, list(STYLES), [order], limit)
        for name, (method, settings, keep, options) in ABLATIONS.items():
            kept = [*mixed[n:], *validation] if keep else ()
            settings = {"erase_scale": n / 20 * METHODS[method].defaults["erase_scale"]} if name == SUMMED else settings
            labels = {"variant": name, "n": n, "order": order}
            cases.append(Case(method, mixed[:n], pictures, kept, settings, options, labels))
    return cases


#: part of ``staged`` switched off → (settings, options of erase)
STAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "staged": ({}, {}),
    "− text encoder": ({"blocks": 0}, {}),
    "− UNet": ({"erase_scale": 0.0}, {}),
    "− vocabulary": ({"vocabulary": 0.0}, {}),
    "− other words": ({"same": 1.0}, {}),
    "− gentler for few": ({"inner_halfway": 0.0}, {}),
    "foreign text encoder": ({}, {"part": "unet"}),
    "foreign UNet": ({}, {"part": "text_encoder"}),
}


def stage_cases(counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """Switch the parts of ``staged`` off, one at a time, on the pictures of the scaling curves."""
    return [
        replace(
            case,
            settings=settings,
            options=options,
            labels={"variant": name} | {key: case.labels[key] for key in ("n", "order")},
        )
        for case in scaling_cases(["staged"], counts, orders, limit)
        for name, (settings, options) in STAGES.items()
    ]


#: what of ``staged`` is let through row by row → part of the pipeline and form of the gate (``gating.gate_rows``)
GATES: dict[str, list[str]] = {
    "no gate": [],
    "text encoder: soft gate": ["text_encoder", SOFT],
    "text encoder: knowing half": ["text_encoder", KNOWING],
    "text encoder: half by lot": ["text_encoder", BY_LOT],
    "UNet: soft gate": ["unet", SOFT],
    "UNet: knowing half": ["unet", KNOWING],
}


def gate_cases(counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """Gate ``staged`` in every way of ``GATES``; only validation concepts are drawn (``tries.crowd_cases``)."""
    return [
        replace(
            case,
            options={"gate": gate} if gate else {},
            labels={"variant": name} | {key: case.labels[key] for key in ("n", "order")},
        )
        for case in crowd_cases({"staged": {}}, counts, orders, limit)
        for name, gate in GATES.items()
    ]
