"""What an edit needs to know of its concepts: moments that no layer enters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.weak import WeakTensorKeyDictionary

from scapre.maths.linalg import add_upper, mirrored, nearest
from scapre.text.embeddings import Contexts, reaching_back

CHUNK = 256  # concepts a product: bounds memory, changes nothing else


@dataclass(frozen=True)
class ConceptStatistics:
    """Features of targets, anchors and retained concepts, and their second moments.

    Features are float64, contexts float32 (there may be millions of them); every moment
    is accumulated in float64.

    Attributes:
        targets: C, ``(m, d)``, features at the last content token.
        anchors: C*, ``(m, d)``, the same of each target's replacement.
        contexts: paired positions of every sentence, ``share`` sentences a target, targets slowest;
            from the last content token on, or all, as the method reads them.
        retained: R, ``(r, d)``, last content token.
        kept: contexts of the retained concepts, ``(r, L, d)``, zero beyond their length.
        kept_last: places of their last content tokens among the L, ``(r,)``.
        blank: hidden states of the empty prompt, ``(T, d)``.
    """

    targets: Tensor
    anchors: Tensor
    contexts: Contexts
    retained: Tensor
    kept: Tensor
    kept_last: Tensor
    blank: Tensor

    @property
    def width(self) -> int:
        """d, the width of the text features."""
        return self.targets.shape[1]

    @property
    def null(self) -> Tensor:
        """e₀, ``(d,)``: position 1 of the empty prompt."""
        return self.blank[1]

    @property
    def share(self) -> int:
        """How many sentences stand for one target."""
        return len(self.contexts.targets) // len(self.targets)

    def from_content(self) -> ConceptStatistics:
        """The same with contexts of targets and replacements from the last content token on."""
        return replace(self, contexts=self.contexts.from_content())

    @property
    def gram(self) -> Tensor:
        """S = Σ_k Σ_t c_{k,t} c_{k,t}ᵀ, ``(d, d)`` float64 (Eq. 4)."""
        return self._moments[0]

    @property
    def cross(self) -> Tensor:
        """X = Σ_k Σ_t ñ_t c_{k,t}ᵀ, ``(d, d)`` float64: a layer's right-hand side is W₀X."""
        return self._moments[1]

    @cached_property
    def kept_gram(self) -> Tensor:
        """Σ_r Σ_t r_t r_tᵀ over the retained concepts, ``(d, d)`` float64; zero without any."""
        return second_moment(self.kept)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """S and X in one pass: of millions of contexts, widening them to float64 costs as much as X."""
        pairs = self.contexts
        gram, cross = torch.zeros(2, self.width, self.width, dtype=torch.float64, device=self.targets.device)
        for narrow, owner in zip(pairs.targets.split(CHUNK), pairs.anchor_of.split(CHUNK), strict=True):
            chunk = narrow.double()
            add_upper(gram, chunk.flatten(0, 1))
            # Targets of one replacement share it, so their contexts are added up before the product.
            kinds, place = owner.unique(return_inverse=True)
            sums = chunk.new_zeros(len(kinds), *chunk.shape[1:]).index_add_(0, place, chunk)
            cross += pairs.anchors[kinds].flatten(0, 1).double().T @ sums.flatten(0, 1)
        return mirrored(gram), cross


def matched(statistics: ConceptStatistics, owner: Tensor | None = None) -> ConceptStatistics:
    """Replace each target by its nearest retained concept, in the same sentences; without any, change nothing.

    Args:
        owner: places of the retained concepts that replace the targets, ``(m,)``; None: the nearest.

    Contexts are paired as ``embeddings.pair_contexts`` would: as far as both sides reach.
    """
    if len(statistics.retained) == 0:
        return statistics
    share = statistics.share
    owner = nearest(statistics.targets, statistics.retained) if owner is None else owner
    places = owner[:, None] * share + torch.arange(share, device=owner.device)
    anchor_of = places.flatten()
    targets, kept = statistics.contexts.targets, statistics.kept
    length = min(targets.shape[1], kept.shape[1])
    kept = reaching_back(kept[:, :length], statistics.kept_last)
    used, owner_of = anchor_of.unique(return_inverse=True)  # a long list may lie on disk: most of it stays there
    present = kept[used].any(-1)[owner_of]
    contexts = Contexts(
        targets[:, :length] * present[..., None],
        kept,
        anchor_of,
        statistics.contexts.last,
        statistics.kept_last,
    )
    return replace(statistics, anchors=statistics.retained[owner], contexts=contexts)


#: contexts → their moment, of those read from disk together; goes with the tensor it is of
_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def know_moment(contexts: Tensor, moment: Tensor) -> None:
    """Tell ``second_moment`` what it would compute of these very contexts."""
    _known[contexts] = moment


def together(streams: Sequence[ConceptStatistics]) -> ConceptStatistics:
    """Put what one layer reads of several text encoders into one: each concept once a stream, each as if its own.

    Streams differ in size by orders of magnitude (CLIP's tokens and T5's); each is scaled so that the contexts of the
    targets carry the same Σ‖c‖² in all of them and together what they carried before.
    """
    if len(streams) == 1:
        return streams[0]
    sizes = [float(s.contexts.targets.double().square().sum()) for s in streams]
    mean = sum(sizes) / len(sizes)
    even = [scaled(s, (mean / size) ** 0.5 if size > 0 else 1.0) for s, size in zip(streams, sizes, strict=True)]
    pairs = [s.contexts for s in even]

    def stacked(contexts: Sequence[Tensor]) -> Tensor:
        longest = max(each.shape[1] for each in contexts)
        return torch.cat([pad(each, (0, 0, 0, longest - each.shape[1])) for each in contexts])

    owners, before = [], 0
    for each in pairs:
        owners.append(each.anchor_of + before)
        before += len(each.anchors)
    return ConceptStatistics(
        contexts=Contexts(
            stacked([each.targets for each in pairs]),
            stacked([each.anchors for each in pairs]),
            torch.cat(owners),
            torch.cat([each.last for each in pairs]),
            torch.cat([each.anchor_last for each in pairs]),
        ),
        kept=stacked([s.kept for s in even]),
        **{
            n: torch.cat([getattr(s, n) for s in even])
            for n in ("targets", "anchors", "retained", "kept_last", "blank")
        },
    )


def scaled(statistics: ConceptStatistics, scale: float) -> ConceptStatistics:
    """The same concepts with all features ``scale`` times as large: W is asked for the same, a ridge weighs less."""
    s, pairs = statistics, statistics.contexts
    contexts = replace(pairs, targets=pairs.targets * scale, anchors=pairs.anchors * scale)
    rows = {name: getattr(s, name) * scale for name in ("targets", "anchors", "retained", "kept", "blank")}
    return replace(s, contexts=contexts, **rows)


def second_moment(contexts: Tensor) -> Tensor:
    """Sum the outer products of all rows of ``(m, L, d)`` in float64, chunk by chunk."""
    if (known := _known.get(contexts)) is not None:
        return known
    d = contexts.shape[-1]
    total = torch.zeros(d, d, dtype=torch.float64, device=contexts.device)
    for chunk in contexts.split(CHUNK):
        add_upper(total, chunk.reshape(-1, d).double())
    return mirrored(total)
