"""Words that stand for vectors: what textual inversion and prompt searches write into a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from scapre.experiments.stress.probe import CannotApply
from scapre.text.embeddings import run_encoder, tokens_of
from scapre.text.vocabulary import words_of


def embeddings(pipe: Any) -> Tensor:
    """E, the text encoder's vector of every token, ``(V, d)`` float32."""
    return pipe.text_encoder.get_input_embeddings().weight.detach().float()


def room(pipe: Any, prompt: str) -> int:
    """Count the tokens that a prompt leaves free."""
    used = len(pipe.tokenizer(prompt, add_special_tokens=False).input_ids)
    return int(pipe.tokenizer.model_max_length) - 2 - used


def lendable(pipe: Any, avoid: str = "") -> list[tuple[str, int]]:
    """Whole words of one token, rarest first, with their ids, and none of the words of ``avoid``."""
    taken = set(avoid.lower().split())
    rare = [word for word in reversed(words_of(pipe)) if word not in taken]
    ids = [pipe.tokenizer(word, add_special_tokens=False).input_ids for word in rare]
    return [(word, read[0]) for word, read in zip(rare, ids, strict=True) if len(read) == 1]


@contextmanager
def standing_for(pipe: Any, count: int, avoid: str = "") -> Iterator[tuple[str, list[Tensor]]]:
    """Lend ``count`` rare words of the tokenizer; meanwhile each is read as a vector of the caller's.

    Args:
        avoid: text whose words are not lent.

    Yields:
        the words, separated by blanks, and a list of one entry: put the vectors ``(count, d)`` there.

    Raises:
        CannotApply: the tokenizer has no words to lend.
    """
    lent = lendable(pipe, avoid)[:count]
    if len(lent) < count:
        raise CannotApply(f"this tokenizer has no {count} whole words that could stand for learned ones")
    held: list[Tensor] = []

    def replace(_: Any, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        for (_, token), vector in zip(lent, held[0] if held else (), strict=bool(held)):
            output = torch.where((given[0] == token)[..., None], vector.to(output.dtype), output)
        return output

    hook = pipe.text_encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield " ".join(word for word, _ in lent), held
    finally:
        hook.remove()


def read(pipe: Any, prompts: Sequence[str]) -> Tensor:
    """Hidden states of prompts, ``(n, T, d)``, with a gradient to the vectors that words stand for."""
    return run_encoder(pipe.text_encoder, tokens_of(pipe, prompts), pipe.device).last_hidden_state


def spelt(pipe: Any, ids: Sequence[int]) -> str:
    """Tokens as text, for a table."""
    return str(pipe.tokenizer.decode(list(ids))).strip()
