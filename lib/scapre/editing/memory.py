"""What an edit knew of its concepts, kept in a file, so that more can be erased later as if all at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from scapre.concepts.names import ConceptError, spread
from scapre.maths.linalg import nearest
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import exact_device, read_projections, unet_of
from scapre.patch.places import PatchError, find_memory
from scapre.patch.sealed import read_sealed, write_sealed
from scapre.text.embeddings import Contexts
from scapre.text.statistics import ConceptStatistics, matched

FORMAT = "scapre-memory-3"
#: features of one prompt differ by rounding between batches; those of two prompts by far more
SAME_COSINE = 1 - 1e-5


@dataclass(frozen=True)
class Memory:
    """Statistics of targets and kept concepts, and what they were gathered from.

    Attributes:
        statistics: see ``ConceptStatistics``; no prompt is encoded again.
        about: ``targets``, ``anchors`` (one a target; None: the nearest retained concepts, once all
            are known), ``retained``, ``templates``, ``positions``.
    """

    statistics: ConceptStatistics
    about: dict[str, Any]

    def anchored(self) -> Memory:
        """Choose the anchors that are still open: nearest retained concepts, or a blank without any."""
        if self.about["anchors"] is not None:
            return self
        s, names = self.statistics, self.about["retained"]
        anchors = (
            [names[i] for i in nearest(s.targets, s.retained).tolist()] if names else spread(" ", self.about["targets"])
        )
        return Memory(matched(s), self.about | {"anchors": anchors})

    def joined(self, later: Memory) -> Memory:
        """Put the targets and kept concepts of two memories side by side, these first.

        Kept concepts that are targets of the other are no longer kept. Anchors stay open if they are in
        both; otherwise each memory chooses its own first.

        Raises:
            ConceptError: a target is in both.
            ValueError: other sentences, positions or text encoder.
        """
        for key in ("templates", "positions"):
            if self.about[key] != later.about[key]:
                raise ValueError(f"{key} differ: {self.about[key]} before, {later.about[key]} now; use the same")
        if (self.about["anchors"] is None) != (later.about["anchors"] is None):
            return self.anchored().joined(later.anchored())
        first, second = self.statistics, later.statistics
        if first.blank.shape != second.blank.shape or not torch.allclose(first.blank, second.blank, atol=1e-3):
            raise ValueError("the memory was gathered with another text encoder; load the model it was made for")
        again = same_prompts(second.targets, first.targets).any(1)
        if again.any():
            named = ", ".join(name for name, twice in zip(later.about["targets"], again, strict=True) if twice)
            raise ConceptError(f"{named}: erased before; leave it out")
        old = ~same_prompts(first.retained, second.targets).any(1)
        new = ~(
            same_prompts(second.retained, first.targets).any(1)
            | same_prompts(second.retained, first.retained[old]).any(1)
        )
        anchors = len(first.contexts.anchors)
        owners = torch.cat([first.contexts.anchor_of, second.contexts.anchor_of + anchors])
        statistics = ConceptStatistics(
            targets=torch.cat([first.targets, second.targets]),
            anchors=torch.cat([first.anchors, second.anchors]),
            contexts=Contexts(
                stacked(first.contexts.targets, second.contexts.targets),
                stacked(first.contexts.anchors, second.contexts.anchors),
                owners,
                torch.cat([first.contexts.last, second.contexts.last]),
                torch.cat([first.contexts.anchor_last, second.contexts.anchor_last]),
            ),
            retained=torch.cat([first.retained[old], second.retained[new]]),
            kept=stacked(_rows(first.kept, old), _rows(second.kept, new)),
            kept_last=torch.cat([_rows(first.kept_last, old), _rows(second.kept_last, new)]),
            blank=second.blank,
        )
        pairs = ((self.about["retained"], old), (later.about["retained"], new))
        kept = [name for names, stays in pairs for name, stay in zip(names, stays, strict=True) if stay]
        targets, anchors = (self.about[key] and self.about[key] + later.about[key] for key in ("targets", "anchors"))
        return Memory(statistics, later.about | {"targets": targets, "anchors": anchors, "retained": kept})

    def save(self, path: str | Path, pipe: Any) -> Path:
        """Write one safetensors file, atomically.

        Args:
            path: where.
            pipe: the base model, by whose projections ``load`` knows it again.
        """
        s = self.statistics
        tensors = {name: getattr(s, name) for name in ("targets", "anchors", "retained", "kept", "kept_last", "blank")}
        tensors |= {f"contexts.{field.name}": getattr(s.contexts, field.name) for field in fields(Contexts)}
        base = fingerprint(read_projections(unet_of(pipe)))
        return write_sealed(path, tensors, FORMAT, {"base": base, "about": json.dumps(self.about)})

    @classmethod
    def load(cls, path: str | Path, pipe: Any) -> Memory:
        """Read a memory for the base model it was made with.

        Raises:
            PatchError: no such file, damaged, or the model is another or edited.
        """
        held, about = read_sealed(find_memory(path), FORMAT, "erase anew with --keep-memory")
        tensors = {name: tensor.to(exact_device(pipe.device)) for name, tensor in held.items()}
        if about["base"] != fingerprint(read_projections(unet_of(pipe))):
            raise PatchError(f"{path} was made for other weights; load that base model, or undo the edits in this one")
        contexts = Contexts(*(tensors.pop(f"contexts.{field.name}") for field in fields(Contexts)))
        return cls(ConceptStatistics(contexts=contexts, **tensors), json.loads(about["about"]))


def same_prompts(first: Tensor, second: Tensor) -> Tensor:
    """Which features are those of one prompt: ``(a, d)`` and ``(b, d)`` → bool ``(a, b)``."""
    return normalize(first, dim=1) @ normalize(second, dim=1).T > SAME_COSINE


def _rows(contexts: Tensor, stays: Tensor) -> Tensor:
    """Keep the contexts of the concepts that stay, several sentences a concept."""
    share = len(contexts) // max(len(stays), 1)
    return contexts[stays.repeat_interleave(share)]


def stacked(first: Tensor, second: Tensor) -> Tensor:
    """Put ``(a, L, d)`` above ``(b, M, d)``, the shorter filled up with zeros, which no moment sees."""
    length = max(first.shape[1], second.shape[1])
    return torch.cat([pad(each, (0, 0, 0, length - each.shape[1])) for each in (first, second)])
