"""What the feed-forwards of a text encoder read and answer: places with more room than the text features.

The second linear map of block b answers a token with V k + bias, k its inner activation (f wide, two to four times
d); the block's output is the residual stream plus that. Keys are causal: sentences of one beginning share its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.maths.linalg import add_upper, mirrored
from scapre.model.projections import exact_device
from scapre.model.weights import ENCODERS, part_of
from scapre.text.embeddings import run_encoder, tokens_of

SECOND = ".mlp.fc2"
BATCH = 64


@dataclass(frozen=True)
class Inner:
    """Keys ``(m, T, f)`` and block outputs ``(m, T, d)`` of prompts at one place; ``last (m,)`` content tokens."""

    keys: Tensor
    outputs: Tensor
    last: Tensor


class Reached(Exception):
    """Stops an encoder behind the block that is read."""


def places_of(pipe: Any, blocks: int) -> list[str]:
    """Name the second linear maps of the first feed-forwards of every text encoder, block by block.

    Args:
        blocks: how many of each encoder; all where it has fewer.

    Raises:
        ValueError: an encoder has no such maps.
    """
    found: list[list[str]] = []
    for part in ENCODERS if blocks else ():
        if (encoder := getattr(pipe, part, None)) is not None:
            names = [f"{part}.{name}.weight" for name, _ in encoder.named_modules() if name.endswith(SECOND)]
            if not names:
                raise ValueError(
                    f"{type(encoder).__name__} has no feed-forwards like CLIP's to edit; set blocks=0, or take "
                    "a method that edits the UNet alone (confined)"
                )
            found.append(names[:blocks])
    return [name for block in zip_longest(*found) for name in block if name is not None]


@torch.no_grad()
def read_inner(pipe: Any, places: Sequence[str], prompts: Sequence[str]) -> dict[str, Inner]:
    """Run prompts through the encoders as they are now, as far as the last of the places, once each.

    Args:
        places: of ``places_of``.
        prompts: m sentences.
    """
    found: dict[str, list[Inner]] = {place: [] for place in places}
    _run_each(pipe, places, prompts, lambda place, *read: found[place].append(Inner(*read)))
    return {
        place: Inner(*(torch.cat([getattr(part, name) for part in parts]) for name in ("keys", "outputs", "last")))
        for place, parts in found.items()
    }


def only(output: Any) -> Tensor:
    """What a block answers, with or without more beside it."""
    return output[0] if isinstance(output, tuple) else output


@torch.no_grad()
def key_moments(
    pipe: Any, places: Sequence[str], prompts: Sequence[str], *, progress: bool = False
) -> dict[str, Tensor]:
    """Mean over prompts of Σ_t k_t k_tᵀ over all positions, ``(f, f)`` float64 at every place; zero without prompts."""
    with key_sums(pipe, places) as sums:
        _run_each(pipe, places, prompts, lambda *_: None, progress)
    return {place: total / max(1, len(prompts)) for place, total in sums.items()}


@contextmanager
def key_sums(pipe: Any, places: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Add Σ_t k_t k_tᵀ up at every place while encoders run, ``(f, f)`` float64; complete when the context is left."""
    sums: dict[str, Tensor] = {}
    hooks = []
    for place in places:
        module = module_at(pipe, place)
        f, device = module.in_features, module.weight.device
        sums[place] = torch.zeros(f, f, dtype=torch.float64, device=exact_device(device))

        def add(_: Any, arguments: Any, place: str = place) -> None:
            add_upper(sums[place], arguments[0].flatten(0, 1).float())

        hooks.append(module.register_forward_pre_hook(add))
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()
        sums |= {place: mirrored(total) for place, total in sums.items()}


def _run_each(pipe: Any, places: Sequence[str], *arguments: Any) -> None:
    """``_run_to`` for the places of each encoder."""
    for part in dict.fromkeys(part_of(place)[0] for place in places):
        _run_to(pipe, [place for place in places if part_of(place)[0] == part], *arguments)


def module_at(pipe: Any, place: str) -> Any:
    """Find the linear map whose weight a place names."""
    part, inner = part_of(place)
    return getattr(pipe, part).get_submodule(inner.removesuffix(".weight"))


def block_at(pipe: Any, place: str) -> Any:
    """Find the block around it."""
    part, inner = part_of(place)
    return getattr(pipe, part).get_submodule(inner.removesuffix(".weight").removesuffix(SECOND))


def batches_of(pipe: Any, part: str, prompts: Sequence[str], progress: bool = False) -> Iterator[Any]:
    """Tokens of every batch, as the encoder's own tokenizer reads them."""
    starts = range(0, len(prompts), BATCH)
    for start in tqdm(starts, desc="reading keys", disable=not progress or len(starts) < 8):
        yield tokens_of(pipe, prompts[start : start + BATCH], part.replace("text_encoder", "tokenizer"))


def _run_to(
    pipe: Any,
    places: Sequence[str],
    prompts: Sequence[str],
    take: Callable[[str, Tensor, Tensor, Tensor], None],
    progress: bool = False,
) -> None:
    """Hand keys, block outputs and last content tokens of every batch to ``take``, place by place of one encoder."""
    part = part_of(places[0])[0]
    encoder, last = getattr(pipe, part), torch.zeros(0)
    found: dict[str, Tensor] = {}
    hooks = []
    for place in places:
        final = place == places[-1]

        def read(_: Any, arguments: Any, place: str = place) -> None:
            found[place] = arguments[0].float()

        def answer(_: Any, __: Any, output: Any, place: str = place, final: bool = final) -> None:
            take(place, found[place], only(output).float(), last)
            if final:
                raise Reached

        hooks.append(module_at(pipe, place).register_forward_pre_hook(read))
        hooks.append(block_at(pipe, place).register_forward_hook(answer))
    try:
        for tokens in batches_of(pipe, part, prompts, progress):
            last = (tokens.attention_mask.sum(1) - 2).to(pipe.device)
            with suppress(Reached):
                run_encoder(encoder, tokens, pipe.device)
    finally:
        for hook in hooks:
            hook.remove()
