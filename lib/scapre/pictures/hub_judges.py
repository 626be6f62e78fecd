"""Judges read with transformers: image classifiers and CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from scapre.concepts.names import same_name
from scapre.pictures.places import GenerationError, unknown_to

SAID = "a photo of a {}"  # CLIP's own sentence for a class


def load_hub(name: str, device: str) -> tuple[Any, Any, Any]:
    """Load a model with its image processor, and its tokenizer if it is a CLIP model, from safetensors.

    Raises:
        GenerationError: it cannot be found or read, or is neither a classifier nor a CLIP model.
    """
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, AutoTokenizer

    local = Path(name).is_dir()
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=local)
        caption = config.model_type == "clip"
        kind = AutoModel if caption else AutoModelForImageClassification
        model = kind.from_pretrained(name, local_files_only=local, use_safetensors=True)
        processor = AutoImageProcessor.from_pretrained(name, local_files_only=local, use_fast=False)
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local) if caption else None
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GenerationError(
            f"no judge can be read from {name} ({reason}); give --judge emoji-sd, nudenet, imagenet, clip, or "
            "the folder of an image classifier or a CLIP model"
        ) from error
    return model.eval().to(device), processor, tokenizer


class ClassJudge:
    """An image classifier: is the first of its classes the one that was asked for?"""

    def __init__(self, about: str, model: Any, processor: Any) -> None:
        """Take a model of ``AutoModelForImageClassification`` and its processor."""
        self.about, self.model, self.processor = about, model, processor
        self.labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
        self.places: dict[str, set[int]] = {}
        for place, label in enumerate(self.labels):
            # ImageNet writes the names of one class behind each other: "tench, Tinca tinca"
            for name in {label, *label.split(",")}:
                self.places.setdefault(same_name(name), set()).add(place)

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """See ``PictureJudge``; a name of several classes matches each of them (ImageNet has two cranes)."""
        if unknown := sorted({name for name in classes if same_name(name) not in self.places}):
            raise unknown_to(self.about, unknown, len(self.labels))
        return {name: [self.labels[i] for i in sorted(self.places[same_name(name)])] for name in classes}

    @torch.no_grad()
    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """See ``PictureJudge``."""
        pixels = self.processor(images=list(pictures), return_tensors="pt")["pixel_values"].to(self.model.device)
        seen = self.model(pixels).logits.argmax(1).tolist()
        right = [place in self.places[same_name(name)] for place, name in zip(seen, table["class"], strict=True)]
        return pd.DataFrame({"right": right})

    def features(self, pictures: Sequence[Image.Image]) -> None:
        """None: a classifier's features are no space for distances here."""


class CaptionJudge:
    """A CLIP model: which of the names fits best, and how well does a picture fit its prompt?"""

    def __init__(self, about: str, model: Any, processor: Any, tokenizer: Any, names: Sequence[str] = ()) -> None:
        """Take a CLIP model of ``AutoModel``, its processor and tokenizer, and the names it chooses from."""
        self.about, self.model, self.processor, self.tokenizer = about, model, processor, tokenizer
        self.names = list(dict.fromkeys(map(same_name, names)))

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """See ``PictureJudge``; without names of its own the judge chooses from the classes."""
        self.names = self.names or list(dict.fromkeys(map(same_name, classes)))
        if unknown := sorted({name for name in classes if same_name(name) not in self.names}):
            raise unknown_to(self.about, unknown, len(self.names))
        return {name: [same_name(name)] for name in classes}

    @torch.no_grad()
    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """See ``PictureJudge``; the CLIP score is 100 · max(0, cosine)."""
        seen, said = self.features(pictures), self._read(table["prompt"].tolist())
        found = pd.DataFrame({"clip": (100 * (seen * said).sum(1).clamp(min=0)).tolist()})
        if len(self.names) > 1:
            best = (seen @ self._read([SAID.format(name) for name in self.names]).T).argmax(1).tolist()
            found["right"] = [self.names[i] == same_name(name) for i, name in zip(best, table["class"], strict=True)]
        return found

    @torch.no_grad()
    def features(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Unit vectors of pictures, ``(N, f)``."""
        pixels = self.processor(images=list(pictures), return_tensors="pt")["pixel_values"].to(self.model.device)
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return normalize(self.model.visual_projection(pooled), dim=-1).float().cpu()

    def _read(self, sentences: list[str]) -> Tensor:
        window = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(sentences, padding=True, truncation=True, max_length=window, return_tensors="pt")
        pooled = self.model.text_model(**tokens.to(self.model.device)).pooler_output
        return normalize(self.model.text_projection(pooled), dim=-1).float().cpu()
