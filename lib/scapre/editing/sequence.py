"""One edit after another, and what keeps a new one off those before it.

Source of the remedy: Wu et al., Continual Concept Erasure in Diffusion Models by Suppressing Cross-Edit Interference
(CEASE, arXiv 2610.01989), section 3; from summaries, no released code was found. Where the memory of all concepts is
at hand, ``Memory.joined`` needs no remedy: it solves for all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from scapre.editing.erase import erase, remember
from scapre.editing.kept import same_prompts, stacked
from scapre.editing.memory import Memory
from scapre.editing.solve import solve
from scapre.maths.linalg import leading_directions
from scapre.methods.registry import find_method
from scapre.methods.solution import Solution, diagnose
from scapre.model.weights import read_weights
from scapre.patch.patch import Patch, PatchError
from scapre.text.statistics import ConceptStatistics

#: share of the earlier changes' Σσ² that is left alone; what remains is rounding of float32
ENERGY = 1 - 1e-6
#: how requests over time are met: one joint problem solved anew from memory, the method applied to what it has edited,
#: or the same with CEASE's remedies
WAYS = ("joined", "again", "remedied")


def anchors_kept(statistics: ConceptStatistics) -> ConceptStatistics:
    """Count the anchors among the kept concepts, those that are not: later edits map to them again.

    Every edit moves the answers of its anchor a little; a shared anchor collects what all of them do.
    """
    share, pairs = statistics.share, statistics.contexts
    owner = pairs.anchor_of[::share] // share
    features = statistics.anchors.new_zeros(int(owner.max()) + 1, statistics.width)
    features[owner] = statistics.anchors
    used = owner.unique()
    new = used[~same_prompts(features[used], statistics.retained).any(1)]
    places = (new[:, None] * share + torch.arange(share, device=new.device)).flatten()
    rows = pairs.anchors[places]
    # beyond its length a replacement repeats its last position, where a kept context is zero
    repeats = (rows[:, 1:] == rows[:, :-1]).all(-1, keepdim=True)
    rows = torch.cat([rows[:, :1], rows[:, 1:].masked_fill(repeats, 0)], 1)
    return replace(
        statistics,
        retained=torch.cat([statistics.retained, features[new]]),
        kept=stacked(statistics.kept, rows),
        kept_last=torch.cat([statistics.kept_last, pairs.anchor_last[places]]),
    )


def off_earlier(change: Tensor, earlier: Tensor) -> Tensor:
    """Project a change off the inputs that earlier changes answer to: Δ (I − VVᵀ), so that Δ Δ_earlierᵀ = 0.

    Args:
        change: Δ, ``(d_out, d)``.
        earlier: the sum of the earlier changes, ``(d_out, d)``; V are its leading right singular vectors.
    """
    directions = leading_directions(earlier, ENERGY)
    return change - (change @ directions) @ directions.T


def solve_next(
    pipe: Any,
    memory: Memory,
    earlier: Sequence[Patch],
    *,
    method: str,
    keep_anchors: bool = True,
    off: bool = True,
    seed: int = 0,
    progress: bool = True,
    **settings: float | int | bool | str,
) -> Patch:
    """Compute a further edit of a pipeline that is edited already, with CEASE's two remedies.

    Args:
        pipe: with every patch of ``earlier`` applied, in order.
        memory: of the new concepts alone (``remember``).
        earlier: the patches before; none for the first, whose anchors are kept as well.
        method: a closed form that edits projections.
        keep_anchors: hold the anchors' answers (``anchors_kept``), for methods that read kept concepts.
        off: change nothing that the earlier patches changed (``off_earlier``).
        seed, progress, **settings: see ``erase``.

    Raises:
        PatchError: the pipeline does not hold the earlier patches.
        ValueError: see ``erase``.
    """
    if find_method(method).stages:
        raise ValueError(f"{method} edits text encoders first; join the memories and erase all at once")
    if memory.others:
        raise ValueError("layers of this model read several streams of tokens; join the memories and erase all at once")
    changes, memory = _changes(pipe, earlier), memory.anchored()
    if keep_anchors:
        memory = replace(memory, statistics=anchors_kept(memory.statistics))
    patch = solve(pipe, memory, method=method, seed=seed, progress=progress, **settings)
    edited, facts = dict(patch.edited), dict(patch.diagnostics)
    for name in changes.keys() & edited.keys() if off else ():
        original = patch.original[name].double()
        weight = original + off_earlier(edited[name].double() - original, changes[name])
        edited[name] = weight.to(edited[name].dtype)
        facts[name] = diagnose(original, Solution(weight), memory.statistics)
    about = {"after": len(earlier), "keep_anchors": keep_anchors, "off": off}
    return replace(patch, edited=edited, diagnostics=facts, provenance=patch.provenance | about)


def in_requests(
    pipe: Any,
    targets: Sequence[str],
    size: int,
    way: str,
    *,
    method: str,
    retained: Sequence[str] = (),
    seed: int = 0,
    progress: bool = True,
    templates: str | None = None,
    anchors: str | None = None,
    revoked: Sequence[str] = (),
    **settings: float | int | bool | str,
) -> Patch:
    """Erase concepts that are asked for ``size`` at a time; the pipeline is not changed.

    Args:
        way: of ``WAYS``.
        revoked: targets taken back after the last request: out of the memory where it is joined; elsewhere what their
            own requests changed is subtracted again, which is all that is left of them there.
        method, retained, templates, anchors, seed, progress, **settings: see ``erase``; the same for every request.

    Returns:
        the edit after the last request, from the unedited model.

    Raises:
        ValueError: an unknown way, fewer than one target a request, or a method that edits text encoders and is not
            joined; a concept taken back that was asked for beside others, and not joined; see also ``erase``.
        ConceptError: a concept taken back that is no target.
    """
    if way not in WAYS or size < 1:
        raise ValueError(f"{size} targets a request, {way}; give at least one, and one of {', '.join(WAYS)}")
    if way != "joined" and find_method(method).stages:
        raise ValueError(f"{method} edits text encoders first; join the memories and erase all at once")
    parts = [list(targets[start : start + size]) for start in range(0, len(targets), size)]
    asked: dict[str, Any] = {"retained": retained, "method": method, "templates": templates, "anchors": anchors}
    how: dict[str, Any] = {"seed": seed, "progress": progress, **settings}
    if way == "joined":
        memories = [remember(pipe, part, **asked, progress=progress) for part in parts]
        memory = reduce(Memory.joined, memories)
        return solve(pipe, memory.without(*revoked) if revoked else memory, method=method, **how)
    back = [i for i, part in enumerate(parts) if set(part) <= set(revoked)]
    if sum(len(parts[i]) for i in back) != len(revoked):
        raise ValueError(f"{', '.join(revoked)}: asked for beside others; only whole requests can be taken off again")
    patches: list[Patch] = []
    try:
        whole = find_method(method).edit is not None
        for part in parts if whole else _one_by_one(pipe, parts, asked, progress):
            if not isinstance(part, Memory):
                patch = erase(pipe, part, **asked, **how)
            elif way == "again":
                patch = solve(pipe, part, method=method, **how)
            else:
                patch = solve_next(pipe, part, patches, method=method, **how)
            patch.apply(pipe)
            patches.append(patch)
    finally:
        for patch in reversed(patches):
            patch.undo(pipe)
    original: dict[str, Tensor] = {}
    edited: dict[str, Tensor] = {}
    for patch in patches:
        original = patch.original | original
        edited |= patch.edited
    for patch in (patches[i] for i in back):
        for name, weight in patch.edited.items():
            left = edited[name].double() - (weight.double() - patch.original[name].double())
            edited[name] = left.to(weight.dtype)
    about = patches[-1].provenance | {"targets": list(targets), "requests": len(parts), "way": way}
    return Patch(original, edited, about)


def _one_by_one(pipe: Any, parts: Sequence[Sequence[str]], asked: dict[str, Any], progress: bool) -> Iterator[Memory]:
    """Memories of requests; text encoders stay as they are between them, so nothing is read twice."""
    whole = remember(pipe, [name for part in parts for name in part], **asked, progress=progress)
    for part in parts:
        yield whole.without(*(name for name in whole.about["targets"] if name not in set(part)))


def _changes(pipe: Any, earlier: Sequence[Patch]) -> dict[str, Tensor]:
    """Add up what the patches changed, and see that the pipeline holds them."""
    changes: dict[str, Tensor] = {}
    last: dict[str, Tensor] = {}
    for patch in earlier:
        old = patch.originals()
        for name, weight in patch.changed.items():
            last[name] = weight
            changes[name] = changes.get(name, 0) + weight.double() - old[name].double()
    found = read_weights(pipe, last)
    for name, weight in last.items():
        if name not in found or not torch.equal(found[name].cpu(), weight.cpu()):
            raise PatchError(f"the pipeline does not hold the earlier patches (at {name}); apply them in order first")
    return changes
