"""From names to the statistics of every stream that the layers to edit read (``inputs``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from scapre.concepts.lists import sentences_of
from scapre.concepts.names import ConceptError, spread
from scapre.maths.linalg import nearest
from scapre.model.projections import exact_device
from scapre.text.embeddings import Contexts, Encoded, beyond_window, pair_contexts, pair_whole
from scapre.text.gathering import check_names, gather
from scapre.text.inputs import front_of, read_inputs
from scapre.text.statistics import ConceptStatistics, matched, scaled

Positions = Literal["content", "whole"]
#: tokens of a name before its last that are contexts where every token knows the whole sentence; one number for all,
#: so that memories join
AHEAD = 24
FIRST = "cat"  # one token of its own to every tokenizer: where it stands a name begins


def gather_streams(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = " ",
    retained: Sequence[str] = (),
    templates: str = "name",
    positions: Positions = "content",
    places: Sequence[str] = (),
    progress: bool = False,
) -> dict[str, ConceptStatistics]:
    """Read every prompt once as the layers do, and collect what the solvers need of each stream, at CLIP's size.

    Where the layers read the text encoders' output as it is, that is ``gathering.gather``. Contexts of an encoder
    whose every token knows the whole sentence (T5, BERT) hold all tokens of a name: in a causal one "and knife" knows
    what "fork" does not, here each of the three gives "fork and knife" away.

    Args:
        anchors: None replaces each target by its nearest retained concept of the first stream, in the same sentences.
        targets, retained, templates, positions, places: see ``gather``.

    Raises:
        ConceptError, ValueError: see ``gather`` and ``inputs.front_of``.
    """
    front, asked = front_of(pipe), {"anchors": anchors, "retained": retained, "templates": templates}
    if front.plain:
        told: dict[str, Any] = {"positions": positions, "places": places, "progress": progress, **asked}
        found = gather(pipe, targets, **told)
        return {next(iter(front.groups)): found}
    wanted, kept = check_names(pipe, targets, retained, templates)
    if anchors is None and not kept:
        raise ValueError("nothing is retained to take anchors from; name anchors or concepts to keep")
    named = spread(" " if anchors is None else anchors, wanted)
    if cut := beyond_window(pipe, named):
        raise ConceptError(f"the anchor {cut[0]!r} is longer than the text encoder reads; shorten it")
    sentences, unique = sentences_of(templates), list(dict.fromkeys(named))

    starts = read_inputs(pipe, [sentence.format(FIRST) for sentence in sentences])

    def say(names: Sequence[str]) -> dict[str, Encoded]:
        # a blank stays blank, as in ``gather``
        said = [s.format(n) if n.strip() else n for n in names for s in sentences]
        read = read_inputs(pipe, said, progress=progress)
        return {name: _begun(each, starts[name].last) for name, each in read.items()}

    erase, blank, instead, keep = say(wanted), read_inputs(pipe, [""]), say(unique), say(kept) if kept else {}
    owner = torch.tensor([unique.index(a) for a in named], device=exact_device(pipe.device))
    streams = {
        n: scaled(_collected((erase[n], instead[n], keep.get(n)), blank[n], owner, positions), front.scale(n))
        for n in erase
    }
    if anchors is not None:
        return streams
    first = next(iter(streams.values()))
    chosen = nearest(first.targets, first.retained)
    return {name: matched(each, chosen) for name, each in streams.items()}


def _begun(read: Encoded, starts: Tensor) -> Encoded:
    """Say where names begin if every token of them knows them; a blank, which is in no sentence, ends where it begins.

    Args:
        starts: the name's place in each sentence.
    """
    if not read.both_ways:
        return read
    return replace(read, begins=torch.minimum(starts.repeat(len(read.last) // len(starts)), read.last))


def _collected(
    said: tuple[Encoded, Encoded, Encoded | None], blank: Encoded, owner: Tensor, positions: Positions
) -> ConceptStatistics:
    """Pair and pool what one stream tells of targets, replacements and kept ones; ``owner (m,)``: who replaces whom."""
    erase, instead, keep = said
    share = len(erase.last) // len(owner)
    every = torch.arange(share, device=owner.device)
    pair = partial(pair_contexts, ahead=AHEAD if erase.both_ways else 0) if positions == "content" else pair_whole
    root = share**-0.5  # on both sides of a pair, so every product of the two carries 1/share

    def pool(encoded: Encoded) -> Tensor:
        return encoded.features.unflatten(0, (-1, share)).mean(1).double()

    def weighed(pairs: Contexts) -> Contexts:
        return Contexts(pairs.targets * root, pairs.anchors * root, pairs.anchor_of, pairs.last, pairs.anchor_last)

    paired = weighed(pair(erase, instead, (owner[:, None] * share + every).flatten()))
    width = erase.hidden.shape[-1]
    retained, kept = paired.targets.new_zeros(0, width).double(), paired.targets.new_zeros(0, 1, width)
    kept_last = paired.last.new_zeros(0)
    if keep is not None:
        itself = weighed(pair(keep, keep, torch.arange(len(keep.last), device=owner.device)))
        retained, kept, kept_last = pool(keep), itself.targets, itself.last
    empty = blank.hidden[0, : int(blank.ends[0])].double()
    if len(empty) == 1:  # nothing but an end, which then stands for the start as well
        empty = empty.expand(2, -1)
    return ConceptStatistics(
        targets=pool(erase),
        anchors=pool(instead)[owner],
        contexts=paired,
        retained=retained,
        kept=kept,
        kept_last=kept_last,
        blank=empty.contiguous(),
    )
