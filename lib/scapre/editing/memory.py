"""What an edit knew of its concepts, kept in a file, so that more can be erased later as if all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scapre.concepts.names import ConceptError, same_name, spread
from scapre.editing.kept import Kept, same_prompts, stacked
from scapre.maths.linalg import nearest
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import denoiser_of, exact_device, read_projections
from scapre.patch.places import PatchError, find_memory
from scapre.patch.sealed import read_sealed, write_sealed
from scapre.text.embeddings import Contexts
from scapre.text.statistics import ConceptStatistics, matched

FORMAT = "scapre-memory-4"
NAMED = ("features", "contexts", "last")  # tensors of the concepts named to keep
PLAIN = ("targets", "anchors", "blank")  # and of the others, besides contexts


@dataclass(frozen=True)
class Memory:
    """Statistics of targets and kept concepts, and what they were gathered from.

    Attributes:
        statistics: see ``ConceptStatistics``; no prompt is encoded again. Of the first stream of tokens that the layers
            read (``text.inputs``), and of Stable Diffusion the only one.
        about: ``targets``, ``anchors`` (one a target; None: the nearest retained concepts, once all
            are known), ``retained``, ``templates``, ``positions``.
        named: every concept a sitting named to keep, those among them that are targets now; kept are the others.
        others: memories of the same concepts in the further streams, by name; ``first`` is then the first's name.
    """

    statistics: ConceptStatistics
    about: dict[str, Any]
    named: Kept
    others: dict[str, Memory] = field(default_factory=dict)
    first: str = ""

    @classmethod
    def of(cls, streams: Mapping[str, Memory]) -> Memory:
        """Put the memories of all streams into one; a single one needs no name."""
        first, *others = streams
        named = {"others": {name: streams[name] for name in others}, "first": first}
        return replace(streams[first], **named) if others else streams[first]  # type: ignore[arg-type]

    @property
    def streams(self) -> dict[str, ConceptStatistics]:
        """Statistics of all streams by name, the first one first."""
        return {self.first: self.statistics, **{name: each.statistics for name, each in self.others.items()}}

    def anchored(self, chosen: Tensor | None = None) -> Memory:
        """Choose the anchors that are still open: nearest retained concepts, or a blank without any.

        Args:
            chosen: places of the retained concepts, ``(m,)``; None: the nearest in the first stream.
        """
        if self.about["anchors"] is not None:
            return self
        s, names = self.statistics, self.about["retained"]
        if names and chosen is None:
            chosen = nearest(s.targets, s.retained)
        anchors = spread(" ", self.about["targets"]) if chosen is None else [names[i] for i in chosen.tolist()]
        others = {name: each.anchored(chosen) for name, each in self.others.items()}
        return replace(self, statistics=matched(s, chosen), about=self.about | {"anchors": anchors}, others=others)

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
        if self.others.keys() != later.others.keys():
            raise ValueError("the memory was gathered of another model; load the model it was made for")
        first, second = self.statistics, later.statistics
        if first.blank.shape != second.blank.shape or not torch.allclose(first.blank, second.blank, atol=1e-3):
            raise ValueError("the memory was gathered with another text encoder; load the model it was made for")
        again = same_prompts(second.targets, first.targets).any(1)
        if again.any():
            named = ", ".join(name for name, twice in zip(later.about["targets"], again, strict=True) if twice)
            raise ConceptError(f"{named}: erased before; leave it out")
        owners = torch.cat([first.contexts.anchor_of, second.contexts.anchor_of + len(first.contexts.anchors)])
        statistics = replace(
            second,
            targets=torch.cat([first.targets, second.targets]),
            anchors=torch.cat([first.anchors, second.anchors]),
            contexts=Contexts(
                stacked(first.contexts.targets, second.contexts.targets),
                stacked(first.contexts.anchors, second.contexts.anchors),
                owners,
                torch.cat([first.contexts.last, second.contexts.last]),
                torch.cat([first.contexts.anchor_last, second.contexts.anchor_last]),
            ),
        )
        targets, anchors = (self.about[key] and self.about[key] + later.about[key] for key in ("targets", "anchors"))
        about = later.about | {"targets": targets, "anchors": anchors}
        others = {name: each.joined(later.others[name]) for name, each in self.others.items()}
        return replace(_keeping(statistics, about, self.named.beside(later.named)), others=others, first=self.first)

    def without(self, *names: str) -> Memory:
        """Take targets back: what remains is what would have been gathered without them.

        Every moment is a sum over targets, so nothing of a revoked one is left. Where another sitting named it to
        keep, it is kept again.

        Raises:
            ConceptError: a name is no target of this memory, or no target would be left.
        """
        gone = torch.zeros(len(self.about["targets"]), dtype=torch.bool, device=self.statistics.targets.device)
        place = {same_name(name): i for i, name in enumerate(self.about["targets"])}
        for name in names:
            if same_name(name) not in place:
                raise ConceptError(f"{name!r} is no target of this memory; its targets: {', '.join(place)}")
            gone[place[same_name(name)]] = True
        if gone.all():
            raise ConceptError("no target would be left; undo the patch instead")
        s, pairs, stays = self.statistics, self.statistics.contexts, ~gone
        rows = stays.repeat_interleave(s.share)
        used, owner = pairs.anchor_of[rows].unique(return_inverse=True)
        statistics = replace(
            s,
            targets=s.targets[stays],
            anchors=s.anchors[stays],
            contexts=Contexts(
                pairs.targets[rows], pairs.anchors[used], owner, pairs.last[rows], pairs.anchor_last[used]
            ),
        )
        listed = {
            key: self.about[key] and [each for each, stay in zip(self.about[key], stays.tolist(), strict=True) if stay]
            for key in ("targets", "anchors")
        }
        others = {name: each.without(*names) for name, each in self.others.items()}
        return replace(_keeping(statistics, self.about | listed, self.named), others=others, first=self.first)

    def save(self, path: str | Path, pipe: Any) -> Path:
        """Write one safetensors file, atomically.

        Args:
            path: where.
            pipe: the base model, by whose projections ``load`` knows it again.
        """
        tensors = self._tensors("")
        for number, each in enumerate(self.others.values()):
            tensors |= each._tensors(f"{number}.")
        base = fingerprint(read_projections(denoiser_of(pipe)))
        texts = {"base": base, "about": json.dumps(self.about), "named": json.dumps(self.named.names)}
        texts |= {"streams": json.dumps([self.first, *self.others])} if self.others else {}
        return write_sealed(path, tensors, FORMAT, texts)

    def _tensors(self, mark: str) -> dict[str, Tensor]:
        """Name the tensors of one stream in a file."""
        s = self.statistics
        found = {f"{mark}{name}": getattr(s, name) for name in PLAIN}
        found |= {f"{mark}contexts.{each.name}": getattr(s.contexts, each.name) for each in fields(Contexts)}
        return found | {f"{mark}named.{name}": getattr(self.named, name) for name in NAMED}

    @classmethod
    def load(cls, path: str | Path, pipe: Any) -> Memory:
        """Read a memory for the base model it was made with.

        Raises:
            PatchError: no such file, damaged, or the model is another or edited.
        """
        held, about = read_sealed(find_memory(path), FORMAT, "erase anew with --keep-memory")
        tensors = {name: tensor.to(exact_device(pipe.device)) for name, tensor in held.items()}
        if about["base"] != fingerprint(read_projections(denoiser_of(pipe))):
            raise PatchError(f"{path} was made for other weights; load that base model, or undo the edits in this one")
        texts, names = json.loads(about["about"]), tuple(json.loads(about["named"]))

        def stream(mark: str) -> Memory:
            contexts = Contexts(*(tensors[f"{mark}contexts.{each.name}"] for each in fields(Contexts)))
            named = Kept(names, *(tensors[f"{mark}named.{name}"] for name in NAMED))
            kept = {"retained": named.features, "kept": named.contexts, "kept_last": named.last}
            plain = {name: tensors[f"{mark}{name}"] for name in PLAIN}
            return _keeping(ConceptStatistics(contexts=contexts, **plain, **kept), texts, named)

        streams = json.loads(about.get("streams", '[""]'))
        marks = ["", *(f"{number}." for number in range(len(streams) - 1))]
        return cls.of({name: stream(mark) for name, mark in zip(streams, marks, strict=True)})


def _keeping(statistics: ConceptStatistics, about: dict[str, Any], named: Kept) -> Memory:
    """Keep what was named to keep and is no target."""
    kept = named.where(~same_prompts(named.features, statistics.targets).any(1))
    return Memory(kept.into(statistics), about | {"retained": list(kept.names)}, named)
