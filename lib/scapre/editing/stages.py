"""Erase in stages: the text encoder's first feed-forwards, then ``to_k`` and ``to_v`` by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from scapre.concepts.lists import sentences_of
from scapre.editing.kept import SAME_COSINE, Kept
from scapre.editing.memory import Memory
from scapre.maths.linalg import nearest
from scapre.methods.closed.staged import falling, key_edit, last_stage
from scapre.methods.solution import Read, Solver
from scapre.model.weights import read_weights, write_weights
from scapre.text.embeddings import Encoded, encode_ends, pair_contexts, read_tokens
from scapre.text.gathering import gather
from scapre.text.inner import Inner, places_of
from scapre.text.kept import list_moments
from scapre.text.statistics import ConceptStatistics
from scapre.text.vocabulary import SENTENCES, Vocabulary, read_vocabulary
from scapre.text.walking import walk_inner, walk_outputs

WATCHED = 50  # kept concepts, or words, read again behind the edited encoder, to say how far they moved


@dataclass(frozen=True)
class Stages:
    """What the stages before the UNet found.

    Attributes:
        edited: weights of the text encoders by name.
        facts: diagnostics of each.
        memory: the concepts with their anchors, and the vocabulary's other words for them as further targets.
        solver: of the last stage, for every ``to_k`` and ``to_v``.
        now: what the edited encoder makes of targets and kept concepts.
        words: target → its other words.
    """

    edited: dict[str, Tensor]
    facts: dict[str, dict[str, float]]
    memory: Memory
    solver: Solver
    now: Read
    words: dict[str, list[str]]


def prepare_stages(pipe: Any, memory: Memory, values: Mapping[str, Any], *, progress: bool = False) -> Stages:
    """Edit the text encoders and say how the projections follow; the pipeline is as before when this returns.

    Args:
        memory: of the base model.
        values: settings of ``staged``.

    Raises:
        ValueError: a text encoder without feed-forwards to edit (``inner.places_of``).
    """
    places = places_of(pipe, values["blocks"])
    vocabulary = read_vocabulary(pipe, places, progress=progress)
    memory = _anchored(pipe, memory, vocabulary, values["same"])
    named, alone = len(memory.about["targets"]), memory.statistics
    # other words are for the text encoder; the UNet has no room for them
    memory, words = _with_other_words(pipe, memory, vocabulary, values["same"]) if places else (memory, {})
    about, s = memory.about, memory.statistics
    vocabulary = vocabulary.without(pipe, about["targets"])
    sentences = sentences_of(about["templates"])
    kept = [sentence.format(name) for name in about["retained"] for sentence in sentences]
    share = _share(len(kept), len(vocabulary.words), values["vocabulary"])
    names = list_moments(pipe, places, kept, progress=progress)
    stays = {place: torch.lerp(names[place], vocabulary.keys[place], share) for place in places}
    told = _prompts(about["targets"], sentences)
    instead = _prompts(list(dict.fromkeys(about["anchors"])), sentences)
    settings = {"ridge": values["inner_ridge"], "retain_scale": values["inner_retain_scale"]}
    owner = _owner(about["anchors"], len(sentences))
    edited: dict[str, Tensor] = {}
    facts: dict[str, dict[str, float]] = {}
    with _restored(pipe, places):
        # the anchors go first: what the unedited encoder makes of them is wished for at every place
        for (place, outputs), (_, found) in zip(
            walk_outputs(pipe, places, instead), walk_inner(pipe, places, told), strict=True
        ):
            pairs = _wishes(found, outputs, owner.to(outputs.last.device))
            change, facts[place] = key_edit(pairs, stays[place], count=named * s.share, **settings)
            old = read_weights(pipe, [place])[place]
            edited[place] = (old.double() + change).to(old.dtype)
            facts[place]["drift"] = float(change.norm() / old.double().norm())
            write_weights(pipe, {place: edited[place]})
        now = _features_now(pipe, told, s.share) if places else s.targets
        watched = _watched(pipe, kept, s, vocabulary)
    push = falling(values["erase_scale"], values["halfway"], named) if places else values["erase_scale"]
    settings = {"ridge": values["ridge"], "erase_scale": push, "retain_scale": values["retain_scale"]}
    # contexts carry 1/√share on both sides, so their moments are sums over concepts
    mean = s.kept_gram / max(1, len(s.retained))
    moment = torch.lerp(mean, vocabulary.contexts, share)
    solver = last_stage(alone, moment, guarded=_guarded(pipe, about["targets"][:named], about), **settings)
    return Stages(edited, facts, memory, solver, Read(now, *watched), words)


def _guarded(pipe: Any, targets: Sequence[str], about: Mapping[str, Any]) -> Tensor | None:
    """Moment of the contexts of what is to stay and shares a word with a target."""
    told = {token for ids in read_tokens(pipe, targets) for token in ids[0]}
    near = [n for n, ids in zip(about["retained"], read_tokens(pipe, about["retained"])) if told & set(ids[0])]
    if not near:
        return None
    return gather(pipe, near, templates=about["templates"]).gram


def _prompts(names: Sequence[str], sentences: Sequence[str]) -> list[str]:
    # a blank stays blank, as in ``gathering.gather``
    return [sentence.format(name) if name.strip() else name for name in names for sentence in sentences]


def _owner(anchors: Sequence[str], share: int) -> Tensor:
    """Which anchor's sentence each of the targets' sentences is to be read as."""
    unique = {anchor: number for number, anchor in enumerate(dict.fromkeys(anchors))}
    owner = torch.tensor([unique[anchor] for anchor in anchors])
    return (owner[:, None] * share + torch.arange(share)).flatten()


def _wishes(batches: Iterable[Inner], anchors: Encoded, owner: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Keys of the targets and what their block should add, batch by batch."""
    start = 0
    for found in batches:
        mine, of = owner[start : start + len(found.last)].unique(return_inverse=True)
        start += len(found.last)
        replaced = Encoded(anchors.hidden[mine], anchors.last[mine])
        keys = pair_contexts(Encoded(found.keys, found.last), replaced, of).targets
        given = pair_contexts(Encoded(found.outputs, found.last), replaced, of)
        yield keys, given.anchors[of] * keys.any(-1, keepdim=True) - given.targets


def _share(kept: int, words: int, vocabulary: float) -> float:
    """The vocabulary's share of what is to stay: all of it without names, none of it without words."""
    if not words:
        return 0.0
    return vocabulary if kept else 1.0


def _anchored(pipe: Any, memory: Memory, vocabulary: Vocabulary, same: float) -> Memory:
    """Choose anchors that are open: nearest retained concepts, else nearest words that mean none of the targets."""
    about, targets = memory.about, memory.statistics.targets
    if about["anchors"] is not None or about["retained"] or not vocabulary.words:
        return memory.anchored()
    others = torch.nonzero((_likeness(vocabulary, targets) <= same).all(1)).flatten()
    chosen = others[nearest(targets, vocabulary.features[others])].tolist()
    anchors = [vocabulary.words[i] for i in chosen]
    statistics = gather(pipe, about["targets"], anchors=anchors, templates=about["templates"])
    return replace(memory, statistics=statistics, about=about | {"anchors": anchors})


def _with_other_words(
    pipe: Any, memory: Memory, vocabulary: Vocabulary, same: float
) -> tuple[Memory, dict[str, list[str]]]:
    """Take words of the vocabulary that mean a target in as further targets of the same anchor.

    A word that lies nearer to a kept concept than to any target stays, and so does a word of the same tokens as a
    kept concept.
    """
    s, about = memory.statistics, memory.about
    named = {ids[0] for ids in read_tokens(pipe, [*about["targets"], *about["retained"], *about["anchors"]]) if ids}
    close, owner = _likeness(vocabulary, s.targets).max(1)
    kept = _likeness(vocabulary, s.retained).amax(1) if len(s.retained) else torch.full_like(close, -1.0)
    # a word of a target's very feature is that target to the model already
    found = torch.nonzero((close > same) & (close > kept) & (close < SAME_COSINE)).flatten().tolist()
    ids = read_tokens(pipe, [vocabulary.words[i] for i in found])
    taken = {vocabulary.words[i]: int(owner[i]) for i, read in zip(found, ids, strict=True) if read[0] not in named}
    if not taken:
        return memory, {}
    anchors = [about["anchors"][target] for target in taken.values()]
    further = gather(pipe, list(taken), anchors=anchors, templates=about["templates"])
    told = {"targets": list(taken), "anchors": anchors, "retained": []}
    words: dict[str, list[str]] = {}
    for word, target in taken.items():
        words.setdefault(about["targets"][target], []).append(word)
    return memory.joined(Memory(further, about | told, Kept.of(further, ()))), words


def _likeness(vocabulary: Vocabulary, features: Tensor) -> Tensor:
    """Cosines of words and features about the vocabulary's mean, ``(v, m)``: what all words share tells none apart."""
    mean = vocabulary.features.mean(0)
    return normalize(vocabulary.features - mean, dim=1) @ normalize(features - mean, dim=1).T


def _features_now(pipe: Any, prompts: Sequence[str], share: int) -> Tensor:
    """Features of concepts as the text encoder reads them just now, ``share`` sentences each."""
    return encode_ends(pipe, prompts).unflatten(0, (-1, share)).mean(1).double()


def _watched(pipe: Any, kept: Sequence[str], s: ConceptStatistics, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Features of some kept concepts, else of some words of the vocabulary, before the edit and now."""
    if len(s.retained):
        before, prompts, share = s.retained[:WATCHED], kept[: WATCHED * s.share], s.share
    else:
        before, share = vocabulary.features[:WATCHED], len(SENTENCES)
        prompts = _prompts(vocabulary.words[:WATCHED], SENTENCES)
    if not len(before):
        return before, before
    return before, _features_now(pipe, prompts, share)


@contextmanager
def _restored(pipe: Any, names: Sequence[str]) -> Iterator[None]:
    """Write the named weights back at the end, also after an error."""
    before = read_weights(pipe, names)
    try:
        yield
    finally:
        write_weights(pipe, before)
