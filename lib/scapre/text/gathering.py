"""From names to statistics: every prompt is encoded once, for all layers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from scapre.concepts.lists import sentences_of
from scapre.concepts.names import ConceptError, as_names, check_concepts, spread
from scapre.maths.linalg import nearest
from scapre.model.projections import exact_device
from scapre.text.embeddings import Encoded, beyond_window, encode, pair_contexts, pair_whole, read_tokens
from scapre.text.kept import KeptList, read_list
from scapre.text.statistics import ConceptStatistics, matched

log = logging.getLogger(__name__)


def check_names(
    pipe: Any, targets: Iterable[str], retained: Iterable[str] = (), templates: str = "name"
) -> tuple[list[str], list[str]]:
    """Check lists of concepts as the model's tokenizers read them, before anything is encoded.

    Returns:
        targets and concepts to keep, tidied, each once.

    Raises:
        ConceptError: see ``names.check_concepts``; or a name that the text encoder reads as nothing, or not to
            its end. Sentences it does not read to their end are told to the log.
        ValueError: unknown templates.
    """
    sentences = sentences_of(templates)
    wanted, kept = as_names(targets, "targets"), as_names(retained, "retained")
    names = [*wanted, *kept]
    ids = dict(zip(names, read_tokens(pipe, names), strict=True))
    wanted, kept = check_concepts(wanted, kept, same=ids.__getitem__)
    if unread := [name for name in names if not any(ids[name])]:
        raise ConceptError(f"the text encoder reads nothing in {unread[0]!r}; write it in letters")
    if cut := beyond_window(pipe, names):
        window = pipe.tokenizer.model_max_length - 2
        raise ConceptError(f"{cut[0]!r} is longer than the {window} tokens the text encoder reads; shorten it")
    if cut := beyond_window(pipe, [sentence.format(name) for name in names for sentence in sentences]):
        log.warning("%d sentences are longer than the text encoder reads and are cut, as %r", len(cut), cut[0])
    return wanted, kept


def gather(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = " ",
    retained: Sequence[str] = (),
    templates: str = "name",
    positions: Literal["content", "whole"] = "content",
    places: Sequence[str] = (),
    progress: bool = False,
) -> ConceptStatistics:
    """Encode every prompt once and collect what the solvers need.

    Each concept is put into every sentence of ``templates``; its features are averaged
    and its contexts share its weight, so a richer set does not erase more strongly.

    Args:
        anchors: None replaces each target by its nearest retained concept, in the same sentences.
        positions: contexts from the last content token on, or all positions of a prompt.
        places: feed-forwards that will be edited for the same list (``kept.read_list``).

    Raises:
        ConceptError: see ``check_names``.
        ValueError: unknown templates, as many anchors as neither one nor the targets, or
            anchors None and nothing retained.
    """
    wanted, kept = check_names(pipe, targets, retained, templates)
    sentences = sentences_of(templates)
    if anchors is None and not kept:
        raise ValueError("nothing is retained to take anchors from; name anchors or concepts to keep")
    share, device = len(sentences), exact_device(pipe.device)
    pair = pair_contexts if positions == "content" else pair_whole

    def said(names: Sequence[str]) -> list[str]:
        # A blank stays blank: " " in a sentence would anchor to the sentence's other words.
        return [s.format(n) if n.strip() else n for n in names for s in sentences]

    def pool(encoded: Encoded) -> Tensor:
        return encoded.features.unflatten(0, (-1, share)).mean(1).double()

    erase, blank = encode(pipe, said(wanted), progress=progress), encode(pipe, [""]).hidden[0]
    width = erase.hidden.shape[-1]
    none, nowhere = blank.new_zeros(0, width).double(), torch.zeros(0, dtype=torch.long, device=device)
    keep = KeptList(none, blank.new_zeros(0, 1, width), nowhere)
    if kept:
        keep = read_list(pipe, said(kept), share, positions, places=places, progress=progress)
    root = share**-0.5  # on both sides of a pair, so every product of the two carries 1/share
    named = spread(" " if anchors is None else anchors, wanted)
    if cut := beyond_window(pipe, named):
        raise ConceptError(f"the anchor {cut[0]!r} is longer than the text encoder reads; shorten it")
    unique = list(dict.fromkeys(named))
    instead, owner = (
        encode(pipe, said(unique), progress=progress),
        torch.tensor([unique.index(a) for a in named], device=device),
    )
    anchor_of = (owner[:, None] * share + torch.arange(share, device=device)).flatten()
    paired = pair(erase, instead, anchor_of)
    statistics = ConceptStatistics(
        targets=pool(erase),
        anchors=pool(instead)[owner],
        contexts=replace(paired, targets=paired.targets * root, anchors=paired.anchors * root),
        retained=keep.features,
        kept=keep.contexts,
        kept_last=keep.last,
        blank=blank.double(),
    )
    return matched(statistics) if anchors is None else statistics


def nearest_names(pipe: Any, targets: Sequence[str], retained: Sequence[str], templates: str = "name") -> list[str]:
    """Name the nearest retained concept of each target, as ``gather`` without anchors would choose it.

    Raises:
        ConceptError, ValueError: see ``gather``.
    """
    s = gather(pipe, targets, retained=retained, templates=templates)
    return [retained[i] for i in nearest(s.targets, s.retained).tolist()]
