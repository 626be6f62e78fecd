"""From names to a patch: gather what is needed of the concepts once, solve every projection."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.lists import sentences_of
from scapre.concepts.names import spread
from scapre.editing.memory import Memory
from scapre.editing.stages import prepare_stages
from scapre.methods.registry import build_solver, complete, find_method
from scapre.methods.solution import Solution, Solver, Wish, diagnose
from scapre.model.projections import projection_names, read_projections, unet_of
from scapre.model.weights import read_weights
from scapre.patch.patch import Patch
from scapre.text.gathering import check_names, gather, nearest_names

#: the method of a call that names none
DEFAULT = "staged"


def erase(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = None,
    retained: Sequence[str] = (),
    method: str = DEFAULT,
    templates: str | None = None,
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
            for ``staged``, ``confined`` and erasers that train towards an anchor, the nearest retained concept of
            each target (nearly the same ones are passed over); without any, ``staged`` takes the nearest word of
            the text encoder's vocabulary. Choose a blank, ``" "``, where nothing alike may come through. CURE
            removes directions and reads no anchors.
        retained: concepts to keep: read by ``staged``, ``confined`` and the peers, each in its way, and in the
            diagnostics of all; the paper's and the released formulations cannot be told.
        method: a name of ``methods()``; ``staged`` also edits the text encoder, ``confined`` the UNet alone.
        templates: sentences every name is put into (``scapre.concepts.lists.TEMPLATES``); None: those of the
            method, ``sentences`` for ours, the bare ``name`` for the others.
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
        templates = templates or find_method(method).templates
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
    method: str = DEFAULT,
    templates: str | None = None,
    progress: bool = True,
) -> Memory:
    """Gather what ``method`` needs to know of the concepts, for ``solve`` now or after a later ``joined``.

    Anchors that the method chooses are chosen by ``solve``, when every kept concept is known.

    Raises:
        ConceptError, ValueError: see ``erase``.
    """
    chosen = find_method(method)
    waits = anchors is None and chosen.matches
    named, templates = " " if anchors is None else anchors, templates or chosen.templates
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
    method: str = DEFAULT,
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
    chosen, values = find_method(method), complete(method, settings)
    if memory.about["positions"] != chosen.positions:
        raise ValueError(
            f"{method} reads {chosen.positions} positions, the memory holds {memory.about['positions']}; erase anew"
        )
    if not torch.isfinite(memory.statistics.contexts.targets).all():
        raise ValueError("the text encoder returns NaN or infinity; load an intact model")
    if chosen.stages:
        return _solve_stages(pipe, memory, method, values, seed, progress)
    memory = memory.anchored()
    statistics, originals = memory.statistics, read_projections(unet_of(pipe), chosen.kinds)
    with _solvable(method):
        solver = build_solver(method, statistics, [w.double() for w in originals.values()], values, seed)
        solutions = dict(_solutions(method, solver, originals, progress))
    facts = {name: diagnose(originals[name].double(), each, statistics) for name, each in solutions.items()}
    edited = {name: _stored(originals[name], each) for name, each in solutions.items()}
    return Patch(originals, edited, _provenance(pipe, method, values, seed, memory.about), facts)


def _solve_stages(
    pipe: Any, memory: Memory, method: str, values: Mapping[str, Any], seed: int, progress: bool
) -> Patch:
    """Edit text encoders, then projections; residuals are relative to what the unedited model tells of the targets."""
    originals = read_projections(unet_of(pipe))
    with _solvable(method):
        stages = prepare_stages(pipe, memory, values, progress=progress)
        solutions = dict(_solutions(method, stages.solver, originals, progress))
    before, facts = stages.memory.statistics, dict(stages.facts)
    for name, each in solutions.items():
        weight = originals[name].double()
        facts[name] = diagnose(weight, each, before, now=stages.now.targets)
    edited = stages.edited | {name: _stored(originals[name], each) for name, each in solutions.items()}
    about = (
        stages.memory.about | {"targets": memory.about["targets"]} | ({"words": stages.words} if stages.words else {})
    )
    about["anchors"] = about["anchors"][: len(about["targets"])]
    originals = read_weights(pipe, stages.edited) | originals
    return Patch(originals, edited, _provenance(pipe, method, values, seed, about), facts)


def _stored(original: Tensor, solution: Solution) -> Tensor:
    """The edited weight in the model's type; what did not move stays bit for bit."""
    weight = solution.weight.to(original.dtype)
    return torch.where(solution.weight == original.double(), original, weight)


#: what to do where float64 or the model's type does not hold a solution
REMEDY = "raise ridge or tau, or bring the scales nearer to their defaults"


@contextmanager
def _solvable(method: str) -> Iterator[None]:
    """Turn a failed factorisation into a sentence."""
    try:
        yield
    except torch.linalg.LinAlgError as error:
        raise ValueError(f"{method} cannot be solved at these settings ({error}); {REMEDY}") from error


def _solutions(
    method: str, solver: Solver, originals: Mapping[str, Tensor], progress: bool
) -> Iterator[tuple[str, Solution]]:
    """Solve matrix by matrix.

    Raises:
        ValueError: the model's type does not hold the solution at these settings.
    """
    for name, original in tqdm(originals.items(), desc=method, disable=not progress):
        solution = solver(original.double())
        if not torch.isfinite(solution.weight.to(original.dtype)).all():
            raise ValueError(f"the edit of {name} is not finite at these settings; {REMEDY}")
        yield name, solution


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
