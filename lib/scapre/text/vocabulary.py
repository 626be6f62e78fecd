"""The text encoder's own words: a list of what is to stay that nobody has to write.

Every whole word of the tokenizer is put into ``SENTENCES``; only moments and one feature a word are kept, so the
list is encoded once for a text encoder and lies on disk from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scapre.model.projections import exact_device
from scapre.text.embeddings import encode, pair_whole
from scapre.text.inner import key_sums
from scapre.text.statistics import second_moment
from scapre.text.store import readings, recall

SENTENCES = ("{}", "a picture of a {}")
#: and for the feed-forwards one that goes on behind the word, as prompts do: every later token carries it too
LONGER = "a picture of a {} in a style"
#: the most frequent words of a large tokenizer (its ids are in the order of merging): more change no moment
MOST = 2048


@dataclass(frozen=True)
class Vocabulary:
    """Words of a tokenizer as a text encoder reads them.

    Attributes:
        words: v words.
        features: ``(v, d)`` float64, at the last content token, mean over the sentences.
        contexts: ``(d, d)``, mean over sentences of Σ_t c_t c_tᵀ from the last content token on.
        keys: place → ``(f, f)``, mean of Σ_t k_t k_tᵀ over these sentences and ``LONGER`` (``inner.key_moments``).
    """

    words: tuple[str, ...]
    features: Tensor
    contexts: Tensor
    keys: dict[str, Tensor]

    def without(self, pipe: Any, words: Iterable[str]) -> Vocabulary:
        """Leave words out, as if they had never been in; ``pipe`` is the model it was made for."""
        gone = set(words) & set(self.words)
        stays = [i for i, word in enumerate(self.words) if word not in gone]
        if not gone or not stays:
            return self
        part = _gather(pipe, [word for word in self.words if word in gone], list(self.keys))
        share = len(gone) / len(self.words)

        def rest(whole: Tensor, left: Tensor) -> Tensor:
            return (whole - share * left) / (1 - share)

        return Vocabulary(
            tuple(self.words[i] for i in stays),
            self.features[torch.tensor(stays, device=self.features.device)],
            rest(self.contexts, part.contexts),
            {place: rest(moment, part.keys[place]) for place, moment in self.keys.items()},
        )


def words_of(pipe: Any) -> list[str]:
    """Whole words of the pipeline's tokenizer, letters only, most frequent first; none where it marks no word ends."""
    end = "</w>"
    ids = pipe.tokenizer.get_vocab()
    words = [token.removesuffix(end) for token in sorted(ids, key=ids.__getitem__) if token.endswith(end)]
    return [word for word in words if len(word) > 1 and word.isalpha()][:MOST]


def read_vocabulary(pipe: Any, places: Sequence[str], *, progress: bool = False) -> Vocabulary:
    """Take the vocabulary of a pipeline from disk, or encode it and keep it there (``store``)."""
    words = words_of(pipe)

    def make() -> dict[str, Tensor]:
        found = _gather(pipe, words, places, progress)
        moments = {"contexts": found.contexts, **found.keys}
        return {"features": found.features, **{name: moment.float() for name, moment in moments.items()}}

    about = ["vocabulary", *readings(pipe, _prompts(words, (*SENTENCES, LONGER))), list(places)]
    kept = {name: tensor.double() for name, tensor in recall(about, make, exact_device(pipe.device)).items()}
    return Vocabulary(tuple(words), kept["features"], kept["contexts"], {place: kept[place] for place in places})


def _prompts(words: Sequence[str], sentences: Sequence[str] = SENTENCES) -> list[str]:
    return [sentence.format(word) for word in words for sentence in sentences]


def _gather(pipe: Any, words: Sequence[str], places: Sequence[str], progress: bool = False) -> Vocabulary:
    """Encode words once: features, contexts and keys of one and the same run."""
    prompts, longer, device = _prompts(words), _prompts(words, (LONGER,)), exact_device(pipe.device)
    width = encode(pipe, [""]).hidden.shape[-1]
    features: list[Tensor] = []
    moment = torch.zeros(width, width, dtype=torch.float64, device=device)
    with key_sums(pipe, places) as sums:
        for start in range(0, len(prompts), 1024):
            encoded = encode(pipe, prompts[start : start + 1024], progress=progress, remembered=False)
            features.append(encoded.features.unflatten(0, (-1, len(SENTENCES))).mean(1).double())
            alone = torch.arange(len(encoded.last), device=device)
            moment += second_moment(pair_whole(encoded, encoded, alone).from_content().targets)
        for start in range(0, len(longer), 1024):
            encode(pipe, longer[start : start + 1024], progress=progress, remembered=False)
    count = max(1, len(prompts))
    return Vocabulary(
        tuple(words),
        torch.cat(features) if features else moment.new_zeros(0, width),
        moment / count,
        {place: total / (count + len(longer)) for place, total in sums.items()},
    )
