"""EMCID's closed form, without its gradient stage: names are given another meaning in the text encoder's feed-forwards.

Source: Xiong et al., Editing Massive Concepts in Text-to-Image Diffusion Models (arXiv 2403.13807); released code
SilentView/EMCID (MIT), from which settings are taken and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scapre.methods.solution import Wish
from scapre.model.weights import read_weights, write_weights
from scapre.text.inner import Inner, places_of, read_inner
from scapre.text.kept import list_moments

#: share of the mean diagonal that keeps the system regular where few keys are known
REGULAR = 1e-10


def key_fit(keys: Tensor, wishes: Tensor, moment: Tensor, retain_scale: float) -> Tensor:
    """Answer keys as wished, others as before.

        min_Δ Σ_i ‖Δ k_i − v_i‖² + ρ tr(Δ K₀ Δᵀ),  Δ = Vᵀ K (KᵀK + ρK₀)⁻¹

    Args:
        keys: K, ``(m, f)`` float64, one a target.
        wishes: V, ``(m, d)``.
        moment: K₀, ``(f, f)``, mean k kᵀ over the tokens that are to stay.
        retain_scale: ρ.

    Returns:
        Δ, ``(d, f)``.
    """
    system = keys.T @ keys + retain_scale * moment
    tiny = torch.finfo(system.dtype).tiny
    system += REGULAR * system.diagonal().mean().clamp(min=tiny) * torch.eye(len(system)).to(system)
    return torch.cholesky_solve(keys.T @ wishes, torch.linalg.cholesky(system)).T


def emcid_editor(
    pipe: Any, wish: Wish, *, seed: int, progress: bool, blocks: int, retain_scale: float
) -> dict[str, Tensor]:
    """Spread over the first feed-forwards what a target's last token is to leave the last of them with.

    Of L places, block by block, place l takes 1 / (L − l + 1) of what is still missing at the last:
    v = (z − h) / (L − l + 1) at the key of the target's last token, mean over the sentences. The last block is
    left alone, as released.

    Differences. The released code finds z by 200 steps of gradient a concept, so that the whole model answers like
    the destination; here z is what the destination leaves at the same place. K₀ is over 100,000 captions there,
    here over the sentences of the kept concepts, from start to end of the encoder's window.

    Args:
        blocks: L, at most; 11 of the twelve of Stable Diffusion 1.x as released.
        retain_scale: ρ, 10,000 as released.
    """
    places = places_of(pipe, blocks)
    places = places[: max(1, len(places_of(pipe, 10**6)) - 1)]
    told = [_until_name(s, name) for name in wish.targets for s in wish.sentences]
    instead = [_until_name(s, name) for name in wish.anchors for s in wish.sentences]
    before = read_weights(pipe, places)
    if not told:
        return before
    kept = [s.format(name) for name in wish.retained for s in wish.sentences]
    moments = list_moments(pipe, places, kept, progress=progress)
    share = len(wish.sentences)
    goal = _at_last(read_inner(pipe, places[-1:], instead)[places[-1]], share)[1]
    edited: dict[str, Tensor] = {}
    try:
        for i, place in enumerate(places):
            read = read_inner(pipe, [place, places[-1]] if place != places[-1] else [place], told)
            keys, given = _at_last(read[place], share)[0], _at_last(read[places[-1]], share)[1]
            moment = moments[place] / read[place].keys.shape[1]
            change = key_fit(keys, (goal - given) / (len(places) - i), moment, retain_scale)
            edited[place] = (before[place].double() + change).to(before[place].dtype)
            write_weights(pipe, {place: edited[place]})
    finally:
        write_weights(pipe, before)
    return edited


def _until_name(sentence: str, name: str) -> str:
    """The sentence as far as the name goes: in a causal encoder what follows does not change its tokens."""
    return sentence.partition("{}")[0] + name if name.strip() else name


def _at_last(read: Inner, share: int) -> tuple[Tensor, Tensor]:
    """Keys and outputs at the last content token, mean over ``share`` sentences of a concept."""
    rows = torch.arange(len(read.last), device=read.last.device)
    at = read.last.clamp(min=0)
    return tuple(part[rows, at].double().unflatten(0, (-1, share)).mean(1) for part in (read.keys, read.outputs))
