"""From what is known of the concepts to a patch: one closed form a weight, in stages where the method has them."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.editing.guard import told
from scapre.editing.memory import Memory
from scapre.editing.stages import prepare_stages
from scapre.methods.registry import ALONE, DEFAULT, build_solver, complete, find_method
from scapre.methods.solution import Solution, Solver, diagnose
from scapre.model.projections import denoiser_of, family_of, read_projections
from scapre.model.weights import read_weights
from scapre.patch.patch import Patch
from scapre.text.inputs import front_of, streams_of
from scapre.text.statistics import ConceptStatistics, together

log = logging.getLogger(__name__)


def method_for(pipe: Any, method: str | None) -> str:
    """The method of a call: the one it names, else the default of the model, of which the log says what it leaves out.

    Raises:
        ValueError: see ``denoiser_of``.
    """
    family = family_of(denoiser_of(pipe))
    if method is not None or family is None:
        return method or DEFAULT
    log.warning(
        "%s is edited by %s, in the transformer alone; %s, which edits text encoders as well, is for Stable Diffusion",
        family.title,
        ALONE,
        DEFAULT,
    )
    return ALONE


def check_stages(pipe: Any, method: str) -> None:
    """Refuse stages where something lies between text encoder and layers, or nothing of the encoder is CLIP's.

    Raises:
        ValueError: the method has stages and the model is such a one.
    """
    if find_method(method).stages and not front_of(pipe).plain:
        raise ValueError(f"{method} edits models that read their text encoders' output as it is; take {ALONE}")


def solve(
    pipe: Any,
    memory: Memory,
    *,
    method: str | None = None,
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
    method = method_for(pipe, method)
    chosen, values = find_method(method), complete(method, settings)
    if memory.about["positions"] != chosen.positions:
        raise ValueError(
            f"{method} reads {chosen.positions} positions, the memory holds {memory.about['positions']}; erase anew"
        )
    if not torch.isfinite(memory.statistics.contexts.targets).all():
        raise ValueError("the text encoder returns NaN or infinity; load an intact model")
    check_stages(pipe, method)
    if chosen.stages:
        return _solve_stages(pipe, memory, method, values, seed, progress)
    memory, originals = memory.anchored(), read_projections(denoiser_of(pipe), chosen.kinds)
    edited: dict[str, Tensor] = {}
    facts: dict[str, dict[str, float]] = {}
    for group, statistics in _read_by(pipe, memory, list(originals)).items():
        held = {name: originals[name] for name in group}
        with _solvable(method):
            solver = build_solver(method, statistics, [w.double() for w in held.values()], values, seed)
            solutions = dict(_solutions(method, solver, held, progress))
        facts |= {name: diagnose(held[name].double(), each, statistics) for name, each in solutions.items()}
        edited |= {name: _stored(held[name], each) for name, each in solutions.items()}
    return told(pipe, Patch(originals, edited, provenance_of(pipe, method, values, seed, memory.about), facts))


def _read_by(pipe: Any, memory: Memory, names: Sequence[str]) -> dict[tuple[str, ...], ConceptStatistics]:
    """Weights that read one and the same → the statistics of what they read.

    Raises:
        ValueError: the memory holds other streams than the model has.
    """
    streams, found, groups = memory.streams, dict[tuple[str, ...], ConceptStatistics](), front_of(pipe).groups
    if len(groups) == len(streams) == 1:
        return {tuple(names): memory.statistics}
    for layers, some in streams_of(groups, list(streams)).items():
        if not some:
            raise ValueError("the memory was gathered of another model; erase anew")
        if group := tuple(name for name in names if name.removesuffix(".weight") in layers):
            found[group] = together([streams[name] for name in some])
    return found


def _solve_stages(
    pipe: Any, memory: Memory, method: str, values: Mapping[str, Any], seed: int, progress: bool
) -> Patch:
    """Edit text encoders, then projections; residuals are relative to what the unedited model tells of the targets."""
    originals = read_projections(denoiser_of(pipe))
    with _solvable(method):
        stages = prepare_stages(pipe, memory, values, progress=progress)
        solutions = dict(_solutions(method, stages.solver, originals, progress))
    before, facts = stages.memory.statistics, dict(stages.facts)
    for name, each in solutions.items():
        weight = originals[name].double()
        facts[name] = diagnose(weight, each, before, stages.now)
    edited = stages.edited | {name: _stored(originals[name], each) for name, each in solutions.items()}
    about = (
        stages.memory.about | {"targets": memory.about["targets"]} | ({"words": stages.words} if stages.words else {})
    )
    about["anchors"] = about["anchors"][: len(about["targets"])]
    originals = read_weights(pipe, stages.edited) | originals
    return told(pipe, Patch(originals, edited, provenance_of(pipe, method, values, seed, about), facts))


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


def provenance_of(
    pipe: Any, method: str, values: Mapping[str, Any], seed: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    """How a patch was made, as plain JSON."""
    return {
        "method": method,
        "settings": dict(values),
        "seed": seed,
        **{key: value for key, value in about.items() if key != "positions"},
        **({"denoiser": type(denoiser_of(pipe)).__name__} if family_of(denoiser_of(pipe)) else {}),
        "model": Path(str(getattr(pipe, "name_or_path", "") or "unnamed")).name,
        "versions": {p: version(p) for p in ("scapre", "torch", "diffusers", "transformers")}
        | {"python": platform.python_version()},
    }
