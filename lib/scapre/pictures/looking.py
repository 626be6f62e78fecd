"""Judges of any pictures: one interface, chosen by name, folder or hub id.

A judge says of every picture whether it shows its class (``right``), how well it fits its prompt (``clip``), or whether
it is ``explicit``: as much of it as it knows. ``scoring`` makes numbers of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from scapre.concepts.names import same_name
from scapre.model.places import EMOJI
from scapre.pictures.judges import Judges, as_tensor
from scapre.pictures.perceptual import HEADS, WANTED, PerceptualJudge
from scapre.pictures.places import GenerationError, unknown_to
from scapre.text.embeddings import encode

#: names for judges of the hub that published tables use
HUB = {"imagenet": "microsoft/resnet-50", "clip": "openai/clip-vit-large-patch14"}


class PictureJudge(Protocol):
    """What can be asked of a judge.

    Attributes:
        about: name, and version and threshold where there are any; stands beside every number.
    """

    about: str

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """Find the judge's own names of classes; empty where it judges without any.

        Raises:
            GenerationError: a class it does not know.
        """

    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """Judge pictures, one row each, by the columns ``prompt`` and ``class`` of their rows."""

    def features(self, pictures: Sequence[Image.Image]) -> Tensor | None:
        """The space distances between sets of pictures are measured in, ``(N, f)``; None: it has none."""


@runtime_checkable
class PairJudge(PictureJudge, Protocol):
    """A judge that compares pictures of one prompt and seed."""

    def apart(self, pictures: Sequence[Image.Image], others: Sequence[Image.Image]) -> Tensor:
        """How far each picture lies from the other of its pair, ``(N,)``."""


class EmojiJudge:
    """The shipped judges: 400 names in six styles, and nothing else."""

    about = "emoji-sd"

    def __init__(self, judges: Judges, pipe: Any) -> None:
        """Take the shipped judges, and emoji-sd, whose text encoder reads the prompts."""
        self.judges, self.pipe = judges, pipe
        self.names = {same_name(name): name for name in judges.objects}

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """See ``PictureJudge``."""
        if unknown := sorted({name for name in classes if same_name(name) not in self.names}):
            raise unknown_to("the shipped judge of emoji-sd", unknown, len(self.names))
        return {name: [self.names[same_name(name)]] for name in classes}

    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """See ``PictureJudge``."""
        images = as_tensor(pictures)
        wanted = table["class"].map(same_name).map(self.names).to_numpy()
        sentences = encode(self.pipe, table["prompt"].tolist())
        end = sentences.hidden[torch.arange(len(table)), sentences.last + 1].cpu()
        right = self.judges.verdicts(images)["object"].to_numpy() == wanted
        return pd.DataFrame({"right": right, "clip": self.judges.clip_scores(images, end).numpy()})

    def features(self, pictures: Sequence[Image.Image]) -> Tensor:
        """See ``PictureJudge``."""
        return self.judges.features(as_tensor(pictures))


def load_judge(name: str = "emoji-sd", names: Sequence[str] = (), device: str = "cpu") -> PictureJudge:
    """Load a judge.

    Args:
        name: ``emoji-sd``, ``nudenet``, ``imagenet`` (ResNet-50), ``clip`` (ViT-L/14), the folder or hub id of an
            image classifier or a CLIP model, or a folder of LPIPS (``perceptual.WANTED``).
        names: what CLIP chooses from; none: the classes of the pictures.
        device: where models go.

    Raises:
        GenerationError: it is not there, damaged, or of another kind; the message says what to do.
    """
    if name == "emoji-sd":
        from scapre.model.backbones import load_pipeline
        from scapre.pictures.judges import load_judges

        return EmojiJudge(load_judges(), load_pipeline(EMOJI))
    if name == "giphy":
        raise GenerationError(
            "GIPHY's celebrity detector (github.com/Giphy/celeb-detection-oss) is no model that transformers reads; "
            "give --judge clip, or the folder of an image classifier whose classes are these names"
        )
    if name == "nudenet":
        from scapre.pictures.explicit import ExplicitJudge

        return ExplicitJudge()
    if name == "lpips" or (Path(name) / HEADS).is_file():
        if name == "lpips":
            raise GenerationError(WANTED)
        return PerceptualJudge.load(name, device)
    from scapre.pictures.hub_judges import CaptionJudge, ClassJudge, load_hub

    model, processor, tokenizer = load_hub(HUB.get(name, name), device)
    shown = Path(name).name if Path(name).is_dir() else HUB.get(name, name)
    if tokenizer is not None:
        return CaptionJudge(shown, model, processor, tokenizer, names)
    return ClassJudge(shown, model, processor)
