"""From names to a patch: gather what is needed of the concepts once, solve every projection."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.lists import sentences_of
from scapre.concepts.names import spread
from scapre.editing.memory import Memory
from scapre.methods.registry import build_solver, complete, find_method
from scapre.methods.solution import Solution, Wish, diagnose
from scapre.model.projections import projection_names, read_projections, unet_of
from scapre.model.weights import read_weights
from scapre.patch.patch import Patch
from scapre.text.gathering import check_names, gather, nearest_names
from scapre.text.statistics import ConceptStatistics


def erase(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = None,
    retained: Sequence[str] = (),
    method: str = "scapre",
    templates: str = "name",
    seed: int = 0,
    progress: bool = True,
    **settings: float | int | bool | str,
) -> Patch:
    """Compute the edit that makes a pipeline forget ``targets``; the pipeline is not changed.

    Every solve is float64; weights return in the model's type, so a float16 model loses
    its own rounding (2⁻¹¹ relative) and nothing more.

    Args:
        pipe: has ``unet``, ``text_encoder``, ``tokenizer`` and ``device``.
        targets: concepts to forget.
        anchors: what replaces them: one prompt, or one a target. None leaves it to the method: a blank, or,
            for ``scapre`` and for erasers that train towards an anchor, the nearest retained concept of each
            target where any is named (and nearly the same ones are passed over). Choose a blank, ``" "``, where
            nothing alike may come through. CURE removes directions and reads no anchors.
        retained: concepts to keep: read by ``scapre`` and the peers, each in its way, and in the
            diagnostics of all; the paper's and the released formulations cannot be told.
        method: a name of ``methods()``.
        templates: sentences every name is put into (``scapre.concepts.lists.TEMPLATES``).
        seed: of all random draws: the released formulations, SPEED's noisy copies, every step of training.
        progress: show a bar.
        **settings: see ``scapre.methods.registry.METHODS[method].defaults``.

    Raises:
        ConceptError: lists that are empty, repeat or contradict themselves, names that are no text or too long
            (``scapre.text.gathering.check_names``), or a target that is its own anchor.
        ValueError: unknown method, template or setting, weights that are not finite, or settings at which
            the solution is not.
    """
    # mistakes are refused before prompts are encoded
    projection_names(unet_of(pipe), find_method(method).kinds)
    complete(method, settings)
    if find_method(method).edit is not None:
        return _edit_whole(pipe, targets, anchors, retained, method, templates, seed, progress, settings)
    memory = remember(
        pipe, targets, anchors=anchors, retained=retained, method=method, templates=templates, progress=progress
    )
    return solve(pipe, memory, method=method, seed=seed, progress=progress, **settings)


def remember(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = None,
    retained: Sequence[str] = (),
    method: str = "scapre",
    templates: str = "name",
    progress: bool = True,
) -> Memory:
    """Gather what ``method`` needs to know of the concepts, for ``solve`` now or after a later ``joined``.

    Anchors that the method chooses are chosen by ``solve``, when every kept concept is known.

    Raises:
        ConceptError, ValueError: see ``erase``.
    """
    chosen = find_method(method)
    waits = anchors is None and chosen.matches
    named = " " if anchors is None else anchors
    wanted, kept = check_names(pipe, targets, retained, templates)
    named = spread(named, wanted)
    statistics = gather(
        pipe,
        wanted,
        anchors=named,
        retained=kept,
        templates=templates,
        positions=chosen.positions,
        progress=progress,
    )
    about = {
        "targets": wanted,
        "anchors": None if waits else named,
        "retained": kept,
        "templates": templates,
        "positions": chosen.positions,
    }
    return Memory(statistics, about)


def solve(
    pipe: Any,
    memory: Memory,
    *,
    method: str = "scapre",
    seed: int = 0,
    progress: bool = True,
    **settings: float | int | bool | str,
) -> Patch:
    """Compute the edit for concepts gathered before; the pipeline must be the base model.

    Args:
        pipe, method, seed, progress, **settings: see ``erase``.
        memory: from ``remember``, a file, or joined of both.

    Raises:
        ValueError: see ``erase``; or the memory holds other positions of the prompts than the method reads.
    """
    chosen, values, memory = find_method(method), complete(method, settings), memory.anchored()
    statistics = memory.statistics
    if memory.about["positions"] != chosen.positions:
        raise ValueError(
            f"{method} reads {chosen.positions} positions, the memory holds {memory.about['positions']}; erase anew"
        )
    originals = read_projections(unet_of(pipe), chosen.kinds)
    if not torch.isfinite(statistics.contexts.targets).all():
        raise ValueError("the text encoder returns NaN or infinity; load an intact model")
    edited: dict[str, Tensor] = {}
    facts: dict[str, dict[str, float]] = {}
    for name, solution in _solutions(method, statistics, originals, values, seed, progress):
        original, weight = originals[name], originals[name].double()
        facts[name] = diagnose(weight, solution, statistics)
        edited[name] = torch.where(solution.weight == weight, original, solution.weight.to(original.dtype))
    return Patch(originals, edited, _provenance(pipe, method, values, seed, memory.about), facts)


def _solutions(
    method: str,
    statistics: ConceptStatistics,
    originals: Mapping[str, Tensor],
    values: Mapping[str, Any],
    seed: int,
    progress: bool,
) -> Iterator[tuple[str, Solution]]:
    """Solve matrix by matrix.

    Raises:
        ValueError: float64 or the model's type does not hold the solution at these settings.
    """
    remedy = "raise ridge or tau, or bring the scales nearer to their defaults"
    try:
        solver = build_solver(method, statistics, [w.double() for w in originals.values()], values, seed)
        bar = f"{method}, {len(statistics.targets)} targets"
        for name, original in tqdm(originals.items(), desc=bar, disable=not progress):
            solution = solver(original.double())
            if not torch.isfinite(solution.weight.to(original.dtype)).all():
                raise ValueError(f"the edit of {name} is not finite at these settings; {remedy}")
            yield name, solution
    except torch.linalg.LinAlgError as error:
        raise ValueError(f"{method} cannot be solved at these settings ({error}); {remedy}") from error


def _edit_whole(
    pipe: Any,
    targets: Sequence[str],
    anchors: str | Sequence[str] | None,
    retained: Sequence[str],
    method: str,
    templates: str,
    seed: int,
    progress: bool,
    settings: Mapping[str, Any],
) -> Patch:
    """Edit by a method that is handed the pipeline; of each weight that changes its drift is told."""
    values, (wanted, kept) = complete(method, settings), check_names(pipe, targets, retained, templates)
    if anchors is None and kept and find_method(method).matches:
        anchors = nearest_names(pipe, wanted, kept, templates)
    named = spread(" " if anchors is None else anchors, wanted)
    wish = Wish(tuple(wanted), tuple(named), tuple(kept), sentences_of(templates))
    edited = find_method(method).edit(pipe, wish, seed=seed, progress=progress, **values)  # type: ignore[misc]
    originals = read_weights(pipe, edited)
    facts = {
        name: {"drift": float((edited[name].double() - old.double()).norm() / old.double().norm())}
        for name, old in originals.items()
        if not torch.equal(edited[name], old)
    }
    about = {"targets": wanted, "anchors": named, "retained": kept, "templates": templates}
    return Patch(originals, edited, _provenance(pipe, method, values, seed, about), facts)


def _provenance(
    pipe: Any, method: str, values: Mapping[str, Any], seed: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "method": method,
        "settings": dict(values),
        "seed": seed,
        **{key: value for key, value in about.items() if key != "positions"},
        "model": Path(str(getattr(pipe, "name_or_path", "") or "unnamed")).name,
        "versions": {p: version(p) for p in ("scapre", "torch", "diffusers", "transformers")}
        | {"python": platform.python_version()},
    }
