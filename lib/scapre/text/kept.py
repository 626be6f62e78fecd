"""Lists of concepts as a text encoder reads them: from disk if they were read before, and of any use again.

What is kept of a list are its features, its contexts and their moment, by the bits of the encoders and the tokens of
every sentence (``store``). An edit with the same list encodes its targets only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scapre.model.projections import exact_device
from scapre.text.embeddings import encode, is_remembered, pair_contexts, pair_whole
from scapre.text.inner import key_moments, key_sums
from scapre.text.statistics import know_moment, second_moment
from scapre.text.store import readings, recall

LONG = 64  # sentences from which a list is kept: fewer are read again in seconds


@dataclass(frozen=True)
class KeptList:
    """A list of r concepts in ``share`` sentences each.

    Attributes:
        features: ``(r, d)`` float64, at the last content token, mean over the sentences.
        contexts: ``(r · share, L, d)`` over √share, zero beyond a sentence's length; ``last`` places of the last
            content tokens among the L.
    """

    features: Tensor
    contexts: Tensor
    last: Tensor


def read_list(
    pipe: Any,
    sentences: Sequence[str],
    share: int,
    positions: Literal["content", "whole"],
    *,
    places: Sequence[str] = (),
    progress: bool = False,
) -> KeptList:
    """Read a list: ``share`` sentences of one concept after another; contexts as ``gathering.gather`` pairs them.

    Args:
        places: whose ``list_moments`` will be asked for: they are taken from the same run, and kept on disk.
    """

    def make() -> dict[str, Tensor]:
        once = _lasts(pipe, sentences) and len(set(sentences)) == len(sentences)  # ``encode`` runs each once
        with key_sums(pipe, places if once else ()) as sums:
            encoded = encode(pipe, sentences, progress=progress)
        if sums:
            keys = {place: (total / len(sentences)).float() for place, total in sums.items()}
            _recalled(pipe, sentences, ["keys", list(places)], lambda: keys)
        alone = torch.arange(len(sentences), device=encoded.hidden.device)
        paired = (pair_contexts if positions == "content" else pair_whole)(encoded, encoded, alone)
        contexts = paired.targets * share**-0.5
        return {
            "features": encoded.features.unflatten(0, (-1, share)).mean(1).double(),
            "contexts": contexts.contiguous(),
            "last": paired.last,
            "moment": second_moment(contexts),
        }

    found = _recalled(pipe, sentences, ["list", share, positions], make)
    know_moment(found["contexts"], found.pop("moment"))
    return KeptList(**found)


def list_moments(
    pipe: Any, places: Sequence[str], sentences: Sequence[str], *, progress: bool = False
) -> dict[str, Tensor]:
    """``inner.key_moments`` of a list's sentences, kept on disk in float32."""
    if not places:
        return {}

    def make() -> dict[str, Tensor]:
        found = key_moments(pipe, places, sentences, progress=progress)
        return {place: moment.float() for place, moment in found.items()}

    found = _recalled(pipe, sentences, ["keys", list(places)], make)
    return {place: moment.double() for place, moment in found.items()}


def _recalled(
    pipe: Any, sentences: Sequence[str], about: list[Any], make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    if not _lasts(pipe, sentences):
        return make()
    return recall([*about, *readings(pipe, sentences)], make, exact_device(pipe.device))


def _lasts(pipe: Any, sentences: Sequence[str]) -> bool:
    # where every prompt of a model is remembered, many edits follow whose lists are used once
    return len(sentences) >= LONG and not is_remembered(pipe)
