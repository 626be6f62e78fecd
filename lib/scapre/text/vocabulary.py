"""The text encoder's own words: a list of what is to stay that nobody has to write.

Every whole word of the tokenizer is put into ``SENTENCES``; only moments and one feature a word are kept, so the
list is encoded once for a text encoder and lies on disk from then on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from scapre.files import WriteError, write_tensors
from scapre.model.fingerprint import fingerprint
from scapre.model.weights import ENCODERS
from scapre.text.embeddings import encode, pair_whole
from scapre.text.inner import key_moments
from scapre.text.statistics import second_moment

log = logging.getLogger(__name__)
SENTENCES = ("{}", "a picture of a {}")
#: the most frequent words of a large tokenizer (its ids are in the order of merging): more change no moment
MOST = 2048
FORMAT = "scapre-vocabulary-1"


@dataclass(frozen=True)
class Vocabulary:
    """Words of a tokenizer as a text encoder reads them.

    Attributes:
        words: v words.
        features: ``(v, d)`` float64, at the last content token, mean over the sentences.
        contexts: ``(d, d)``, mean over sentences of Σ_t c_t c_tᵀ from the last content token on.
        keys: place → ``(f, f)``, mean over sentences of Σ_t k_t k_tᵀ (``inner.key_moments``).
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
    """Take the vocabulary of a pipeline from disk, or encode it and keep it there.

    It lies in ``cache_folder()`` under the hash of text encoders, words and sentences. A folder that cannot be
    written costs time, nothing else.
    """
    words = words_of(pipe)
    path = cache_folder() / f"{_key(pipe, words, places)}.safetensors"
    if (kept := _load(path, words, places, pipe.device)) is not None:
        return kept
    found = _gather(pipe, words, places, progress)
    tensors = {"features": found.features, "contexts": found.contexts.float()}
    tensors |= {place: moment.float() for place, moment in found.keys.items()}
    try:
        # workers may write at once: each its own file, the last one stays
        write_tensors(path.with_suffix(f".{os.getpid()}"), tensors, {"format": FORMAT}).replace(path)
    except (WriteError, OSError) as error:
        log.info("the vocabulary is not kept on disk (%s)", error)
    return _load(path, words, places, pipe.device) or found


def cache_folder() -> Path:
    """Where moments are kept: ``$SCAPRE_CACHE``, else ``scapre`` in the user's cache folder."""
    if chosen := os.environ.get("SCAPRE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scapre"


def _key(pipe: Any, words: Sequence[str], places: Sequence[str]) -> str:
    encoders = [e for part in ENCODERS if (e := getattr(pipe, part, None)) is not None]
    about = [[fingerprint(encoder.state_dict()) for encoder in encoders], list(words), list(SENTENCES), list(places)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]


def _load(path: Path, words: Sequence[str], places: Sequence[str], device: torch.device) -> Vocabulary | None:
    try:
        with safe_open(path, "pt") as stored:
            if (stored.metadata() or {}).get("format") != FORMAT:
                return None
            tensors = {name: stored.get_tensor(name).to(device).double() for name in stored.keys()}
        return Vocabulary(
            tuple(words), tensors["features"], tensors["contexts"], {place: tensors[place] for place in places}
        )
    except (SafetensorError, OSError, KeyError):
        return None  # not there, or cut off by a kill: encoded anew


def _gather(pipe: Any, words: Sequence[str], places: Sequence[str], progress: bool = False) -> Vocabulary:
    prompts = [sentence.format(word) for word in words for sentence in SENTENCES]
    width = encode(pipe, [""]).hidden.shape[-1]
    features: list[Tensor] = []
    moment = torch.zeros(width, width, dtype=torch.float64, device=pipe.device)
    for start in range(0, len(prompts), 1024):
        encoded = encode(pipe, prompts[start : start + 1024], progress=progress)
        features.append(encoded.features.unflatten(0, (-1, len(SENTENCES))).mean(1).double())
        alone = torch.arange(len(encoded.last), device=pipe.device)
        moment += second_moment(pair_whole(encoded, encoded, alone).from_content().targets)
    return Vocabulary(
        tuple(words),
        torch.cat(features) if features else moment.new_zeros(0, width),
        moment / max(1, len(prompts)),
        key_moments(pipe, places, prompts, progress=progress),
    )
