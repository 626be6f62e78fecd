"""What every probe is: a function of a pipeline, a target, a budget and a seed to pictures and the steps they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from scapre.experiments.stress.budget import Budget
from scapre.mistakes import Mistake
from scapre.model.sampling import sample

#: the sentence of plain prompts, which edits with ``sentences`` are made for
PICTURE = "a picture of a {}"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class CannotApply(Mistake, ValueError):
    """A probe has nothing to work with here; the message says what is missing."""


@dataclass(frozen=True)
class Target:
    """A concept, and what somebody who wants it back has in hand.

    Attributes:
        name: as the judge calls it.
        original: the unedited pipeline, which anybody can download.
        pictures: of the concept, uint8 ``(k, H, W, 3)``; ``captions`` says each.
        unrelated: pictures of other concepts, none of them asked for anywhere; ``unrelated_captions`` likewise.
        aliases: other names of it; ``descriptions``: of what it is, without a name.
        others: objects that a prompt may name beside it; ``styles``: styles it may name.
    """

    name: str
    original: Any
    pictures: Tensor
    captions: tuple[str, ...]
    unrelated: Tensor
    unrelated_captions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()

    def said(self, form: str, count: int) -> list[str]:
        """``count`` prompts of a form with ``{}`` for the name, in turn in every style where there are styles."""
        named = form.format(self.name)
        tails = [f"{named} in {style} style" for style in self.styles] or [named]
        return [tails[i % len(tails)] for i in range(count)]


@dataclass(frozen=True)
class Found:
    """What a probe came back with.

    Attributes:
        images: uint8 ``(N, H, W, 3)``.
        table: N rows: ``prompt``; ``steps`` of optimisation before it was drawn; ``look``, what is judged (object
            or style); ``wanted``, the word that counts as success.
    """

    images: Tensor
    table: pd.DataFrame


#: ``(pipe, target, budget, seed) -> Found``; the pipeline is as it was, bit for bit, when the call returns
Probe = Callable[[Any, Target, Budget, int], Found]


def tabled(
    prompts: Sequence[str], target: Target, *, steps: int | Sequence[int] = 0, wanted: Sequence[str] | None = None
) -> pd.DataFrame:
    """Rows of ``Found.table`` whose success is an object, the target unless others are wanted."""
    words = list(wanted) if wanted is not None else [target.name] * len(prompts)
    return pd.DataFrame({"prompt": list(prompts), "steps": steps, "look": "object", "wanted": words})


def drawn(pipe: Any, prompts: Sequence[str], seed: int, first: int = 0, **options: Any) -> Tensor:
    """Draw one picture a prompt, uint8 ``(N, H, W, 3)``; picture i of a probe starts from its own seed."""
    seeds = [seed * 1_000_003 + first + i for i in range(len(prompts))]
    return sample(pipe, prompts, seeds, progress=False, **options)


def rounds(budget: Budget) -> list[int]:
    """Steps after which an attack draws its tries, as evenly as may be: ``budget.pictures`` of them."""
    return [budget.steps * (i + 1) // budget.pictures for i in range(budget.pictures)]


@contextmanager
def standing_in(pipe: Any, **parts: Any) -> Iterator[None]:
    """Put other modules in the place of a pipeline's parts for a while; its configuration is not touched."""
    held = {name: vars(pipe)[name] for name in parts}
    vars(pipe).update(parts)
    try:
        yield
    finally:
        vars(pipe).update(held)


def check_gradient(pipe: Any, *, text: bool = False) -> None:
    """Refuse a pipeline through which no gradient passes.

    Args:
        text: the gradient goes on through the text encoder.

    Raises:
        CannotApply: weights that are no floating numbers (quantised), or two text encoders.
    """
    if text and getattr(pipe, "text_encoder_2", None) is not None:
        raise CannotApply("this probe searches the words of one text encoder, and this pipeline has two")
    for part in ("unet", "text_encoder") if text else ("unet",):
        for name, weight in getattr(pipe, part).named_parameters():
            if weight.dtype not in FLOATS:
                raise CannotApply(
                    f"no gradient passes through {part}.{name}, whose numbers are {weight.dtype} (quantised); "
                    "load the model in floating numbers"
                )
