"""Concepts to keep as rows that can be set aside and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from scapre.text.statistics import ConceptStatistics

#: features of one prompt differ by rounding between batches; those of two prompts by far more
SAME_COSINE = 1 - 1e-5


@dataclass(frozen=True)
class Kept:
    """r concepts to keep.

    Attributes:
        names: r names.
        features: R, ``(r, d)``.
        contexts: ``(r · share, L, d)``, zero beyond their length.
        last: places of their last content tokens, ``(r · share,)``.
    """

    names: tuple[str, ...]
    features: Tensor
    contexts: Tensor
    last: Tensor

    @classmethod
    def of(cls, statistics: ConceptStatistics, names: Sequence[str]) -> Kept:
        """Take the kept concepts out of statistics."""
        return cls(tuple(names), statistics.retained, statistics.kept, statistics.kept_last)

    def into(self, statistics: ConceptStatistics) -> ConceptStatistics:
        """The same statistics with these concepts to keep."""
        return replace(statistics, retained=self.features, kept=self.contexts, kept_last=self.last)

    def where(self, stays: Tensor) -> Kept:
        """Those whose entry of the bool ``(r,)`` is true."""
        if stays.all():
            return self
        rows = stays.repeat_interleave(len(self.contexts) // max(len(stays), 1))
        names = tuple(name for name, stay in zip(self.names, stays.tolist(), strict=True) if stay)
        return Kept(names, self.features[stays], self.contexts[rows], self.last[rows])

    def beside(self, others: Kept) -> Kept:
        """These, then the others that are not among them."""
        new = others.where(~same_prompts(others.features, self.features).any(1))
        if not new.names:
            return self
        return Kept(
            self.names + new.names,
            torch.cat([self.features, new.features]),
            stacked(self.contexts, new.contexts),
            torch.cat([self.last, new.last]),
        )


def same_prompts(first: Tensor, second: Tensor) -> Tensor:
    """Which features are those of one prompt: ``(a, d)`` and ``(b, d)`` → bool ``(a, b)``."""
    return normalize(first, dim=1) @ normalize(second, dim=1).T > SAME_COSINE


def stacked(first: Tensor, second: Tensor) -> Tensor:
    """Put ``(a, L, d)`` above ``(b, M, d)``, the shorter filled up with zeros, which no moment sees."""
    length = max(first.shape[1], second.shape[1])
    return torch.cat([pad(each, (0, 0, 0, length - each.shape[1])) for each in (first, second)])
