"""EMCID's closed form, without its gradient stage: names take another meaning in the text encoder's feed-forwards.

Source: Xiong et al., Editing Massive Concepts in Text-to-Image Diffusion Models (arXiv 2403.13807), whose second stage
this is; released code SilentView/EMCID (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scapre.methods.solution import Wish
from scapre.model.weights import part_of, read_weights, write_weights
from scapre.text.inner import Inner, places_of, read_inner
from scapre.text.kept import list_moments

#: share of the trace that keeps the system regular where few keys are known: above the noise of moments in float32
REGULAR = 1e-6
EVERY = 10**6  # more blocks than any text encoder has


def key_fit(keys: Tensor, wishes: Tensor, moment: Tensor, retain_scale: float) -> Tensor:
    """Answer keys as wished, and others as before.

        min_Δ Σ_i ‖Δ k_i − v_i‖² + ρ tr(Δ K₀ Δᵀ),  Δ = Vᵀ K (KᵀK + ρK₀)⁻¹

    Args:
        keys: K, ``(m, f)`` float64, one a target.
        wishes: V, ``(m, d)``, what is to be added to the answers.
        moment: K₀, ``(f, f)``, mean k kᵀ over the tokens that are to stay.
        retain_scale: ρ ≥ 0.

    Returns:
        Δ, ``(d, f)``.
    """
    system = keys.T @ keys + retain_scale * moment
    tiny = torch.finfo(system.dtype).tiny
    system.diagonal().add_(REGULAR * system.trace().clamp(min=tiny))
    return torch.cholesky_solve(keys.T @ wishes, torch.linalg.cholesky(system)).T


def emcid_editor(
    pipe: Any, wish: Wish, *, seed: int, progress: bool, blocks: int, retain_scale: float, as_released: bool
) -> dict[str, Tensor]:
    """Spread over the first feed-forwards what a target's last token is to leave the last of them with.

    Of L blocks, one after another, block l adds v = (z − h) / (L − l + 1) at the key of the target's last token, each a
    mean over the sentences: h is what block L gives by then, z what it is to give.

    Differences. **The gradient stage is missing:** the released code finds z by 200 steps a concept, so that the whole
    model answers like the destination; here z is what the destination's own last token has there, and what this
    reaches is not what EMCID would. The released code takes for h the answer of block l's own feed-forward, without
    the stream around it, though z is of the stream (``as_released``; False: h as above, as in MEMIT, whose form it
    is). K₀ is over the tokens of 100,000 captions there; here over all positions of the kept concepts' sentences,
    padding included, or of the empty prompt's. As released the encoder's last block is left alone.
    No weight of the UNet changes: another text encoder undoes it all.

    Args:
        blocks: L of each encoder; 11 of Stable Diffusion 1.x's twelve as released.
        retain_scale: ρ; 10,000 in the released settings, 4,000 in the scripts that erase artists, one as a thousand.

    Raises:
        ValueError: a text encoder without feed-forwards like CLIP's (``inner.places_of``).
    """
    told, instead = (_until_names(names, wish.sentences) for names in (wish.targets, wish.anchors))
    kept = [sentence.format(name) for name in wish.retained for sentence in wish.sentences] or [""]
    everywhere, edited = places_of(pipe, EVERY), dict[str, Tensor]()
    for part in dict.fromkeys(part_of(place)[0] for place in everywhere):
        inside = [place for place in everywhere if part_of(place)[0] == part]
        places = inside[: max(1, len(inside) - 1)][:blocks]
        edited |= read_weights(pipe, places)
        if told and places:
            found = list_moments(pipe, places, kept, progress=progress)
            moments = {place: found[place] for place in places}  # block by block, whatever order a file has
            edited |= _spread(pipe, told, instead, len(wish.sentences), moments, retain_scale, as_released)
    return edited


def _spread(
    pipe: Any,
    told: Sequence[str],
    instead: Sequence[str],
    share: int,
    moments: Mapping[str, Tensor],
    retain_scale: float,
    as_released: bool,
) -> dict[str, Tensor]:
    """Edit the places of one encoder, each behind those before it; the pipeline is as before when this returns."""
    places, edited = list(moments), dict[str, Tensor]()
    last, before = places[-1], read_weights(pipe, places)
    goal = _at_last(read_inner(pipe, [last], instead)[last], share, moments[last])[1]
    try:
        for left, place in zip(range(len(places), 0, -1), places, strict=True):
            read = read_inner(pipe, list(dict.fromkeys((place, last))), told)
            keys, _ = _at_last(read[place], share, moments[place])
            _, given = _at_last(read[last], share, moments[place])
            weight = before[place].double()
            if as_released:
                bias = read_weights(pipe, [place.removesuffix("weight") + "bias"])
                given = keys @ weight.T + sum(each.double() for each in bias.values())
            moment = moments[place] / read[place].keys.shape[1]
            change = key_fit(keys, (goal - given) / left, moment, retain_scale)
            edited[place] = (weight + change).to(before[place].dtype)
            write_weights(pipe, {place: edited[place]})
    finally:
        write_weights(pipe, before)
    return edited


def _until_names(names: Sequence[str], sentences: Sequence[str]) -> list[str]:
    """Sentences as far as the name goes: in a causal encoder what follows does not change its tokens."""
    return [s.partition("{}")[0] + name if name.strip() else name for name in names for s in sentences]


def _at_last(read: Inner, share: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and outputs at the last content token, of a blank at the start token; mean over a concept's sentences."""
    rows, at = torch.arange(len(read.last), device=read.last.device), read.last.clamp(min=0)
    keys, outputs = (part[rows, at].to(like).unflatten(0, (-1, share)).mean(1) for part in (read.keys, read.outputs))
    return keys, outputs
