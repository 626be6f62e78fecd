"""Where a student looks: the probabilities of its cross-attention, and the tokens of a concept in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class Attentions:
    """Keep the attention probabilities of every ``attn2`` of a model at each of its passes."""

    def __init__(self, model: nn.Module) -> None:
        from diffusers.models.attention_processor import AttnProcessor

        self._seen: list[Tensor] = []
        for name, module in model.named_modules():
            if name.endswith("attn2"):
                block: Any = module
                block.set_processor(AttnProcessor())
                block.get_attention_scores = partial(self._keep, block.get_attention_scores, block.heads)

    def _keep(self, scores: Callable[..., Tensor], heads: int, *inputs: Tensor) -> Tensor:
        found = scores(*inputs)
        self._seen.append(found.unflatten(0, (-1, heads)))
        return found

    def take(self) -> list[Tensor]:
        """Hand over what was seen since the last call: one ``(n, heads, pixels, T)`` a layer."""
        seen, self._seen = self._seen, []
        return seen


def concept_tokens(tokenizer: Any, sentence: str, name: str, *, ends: bool = False) -> Tensor:
    """Find a name's tokens in a sentence.

    Args:
        ends: mark every position that holds the end token as well (padding, where that is the same token).

    Returns:
        ``(T,)`` bool.

    Raises:
        ValueError: the sentence does not hold the name, or is cut before it.
    """
    options = {"padding": "max_length", "truncation": True, "max_length": tokenizer.model_max_length}
    ids = tokenizer(sentence, **options).input_ids
    word = tokenizer(name, add_special_tokens=False).input_ids
    starts = [i for i in range(len(ids) - len(word) + 1) if word and ids[i : i + len(word)] == word]
    if not starts:
        raise ValueError(f"the model does not read {name!r} in {sentence!r}; shorten the name")
    marks = torch.zeros(len(ids), dtype=torch.bool)
    marks[starts[-1] : starts[-1] + len(word)] = True
    return marks | (torch.tensor(ids) == tokenizer.eos_token_id) if ends else marks
