"""A text encoder read block by block while it is edited: every block behind what was written into those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scapre.model.weights import part_of
from scapre.text.embeddings import Encoded, run_encoder
from scapre.text.inner import Inner, Reached, batches_of, block_at, module_at, only

HELD = 2**28  # numbers of keys held between a block's reading and the next: 1 GiB of float32


@torch.no_grad()
def walk_outputs(pipe: Any, places: Sequence[str], prompts: Sequence[str]) -> Iterator[tuple[str, Encoded]]:
    """Block outputs alone, place by place, of weights as each place is asked for; what is written later does not enter.

    Args:
        places: of ``places_of``: of each encoder the first ones, block by block.
        prompts: m sentences.
    """
    for place, calls in _walk_calls(pipe, places, prompts):
        for call in calls:
            _, call.hidden = _answer(pipe, place, call)
        hidden = torch.cat([call.hidden for call in calls]).float()
        yield place, Encoded(hidden, torch.cat([call.last for call in calls]))


@torch.no_grad()
def walk_inner(pipe: Any, places: Sequence[str], prompts: Sequence[str]) -> Iterator[tuple[str, Iterator[Inner]]]:
    """Read prompts place by place, each behind what was made of the weights before it, batch by batch.

    Whoever asks for the next place may have written the weight of this one, after its last batch: its block's outputs
    are then what the new weight answers to the same keys. Every block runs once where the keys fit into ``HELD``; the
    batches beyond that run through it again.

    Args:
        places: of ``places_of``: of each encoder the first ones, block by block.
        prompts: m sentences.
    """
    for place, calls in _walk_calls(pipe, places, prompts):
        answers: list[tuple[Tensor, Tensor] | None] = []
        second = module_at(pipe, place)
        before = second.weight.clone()
        yield place, _read_batches(pipe, place, calls, answers)
        change = second.weight - before
        for call, answer in zip(calls, answers, strict=True):
            key, output = answer or _answer(pipe, place, call)
            call.hidden = output + key @ change.T if answer else output


@dataclass
class _Call:
    """How an encoder calls its blocks for one batch: what enters the next of them, and what enters all."""

    hidden: Tensor
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    last: Tensor


def _walk_calls(pipe: Any, places: Sequence[str], prompts: Sequence[str]) -> Iterator[tuple[str, list[_Call]]]:
    """Each place with the batches that enter its block; whoever asks for the next has put in what enters that."""
    calls: dict[str, list[_Call]] = {}
    for place in places:
        part = part_of(place)[0]
        if part not in calls:
            calls[part] = _calls_of(pipe, place, prompts)
        yield place, calls[part]


@torch.no_grad()
def _read_batches(
    pipe: Any, place: str, calls: Sequence[_Call], answers: list[tuple[Tensor, Tensor] | None]
) -> Iterator[Inner]:
    """Run every batch through a block, and note its keys and outputs in ``answers`` as far as they may be held."""
    held = 0
    for call in calls:
        key, output = _answer(pipe, place, call)
        held += key.numel()
        answers.append((key, output) if held <= HELD else None)
        yield Inner(key.float(), output.float(), call.last)


def _answer(pipe: Any, place: str, call: _Call) -> tuple[Tensor, Tensor]:
    """Keys and output of a block for one batch."""
    keys: list[Tensor] = []
    hook = module_at(pipe, place).register_forward_pre_hook(lambda _, arguments: keys.append(arguments[0]))
    try:
        output = only(block_at(pipe, place)(call.hidden, *call.arguments, **call.options))
    finally:
        hook.remove()
    return keys[0], output


def _calls_of(pipe: Any, place: str, prompts: Sequence[str]) -> list[_Call]:
    """Stop an encoder before the block of a place, batch by batch."""
    part, found = part_of(place)[0], list[_Call]()
    last = torch.zeros(0)

    def stop(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        found.append(_Call(arguments[0], arguments[1:], options, last))
        raise Reached

    hook = block_at(pipe, place).register_forward_pre_hook(stop, with_kwargs=True)
    try:
        for tokens in batches_of(pipe, part, prompts):
            last = (tokens.attention_mask.sum(1) - 2).to(pipe.device)
            with suppress(Reached):
                run_encoder(getattr(pipe, part), tokens, pipe.device)
    finally:
        hook.remove()
    return found
