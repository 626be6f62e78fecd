"""Networks that judge pictures: what and in which style, and how well a caption fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from scapre.files import write_tensors
from scapre.model.sums import check_sums, write_sums
from scapre.paths import judge_folder

PARTS = ("judge", "captioner")  # files


class Trunk(nn.Module):
    """Convolutions 32×32 → one feature vector ``(B, width · 4)``."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        sizes = (3, width, width * 2, width * 3, width * 4)
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
            layers += [nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()] if i else []
            layers += [nn.MaxPool2d(2)] if i < 3 else []
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, 32, 32)`` in [−1, 1] → ``(B, features)``; larger images are averaged down."""
        if images.shape[-1] != 32:
            images = nn.functional.interpolate(images, size=32, mode="area")
        return self.layers(images).mean(dim=(2, 3))

    def stages(self, images: Tensor) -> list[Tensor]:
        """Activations before every pooling and at the end, fine to coarse."""
        found = []
        for layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                found.append(images)
            images = layer(images)
        return [*found, images]


class Judge(nn.Module):
    """One trunk, two heads: the object and the style of a picture."""

    def __init__(self, objects: int, styles: int, width: int = 40) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.object, self.style = nn.Linear(width * 4, objects), nn.Linear(width * 4, styles)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, 3, H, W)`` → object logits ``(B, objects)`` and style logits ``(B, styles)``."""
        features = self.trunk(images)
        return self.object(features), self.style(features)


class ImageTower(nn.Module):
    """The image half of the contrastive pair: picture → point on the sphere."""

    def __init__(self, dim: int = 256, width: int = 40) -> None:
        super().__init__()
        self.trunk, self.project = Trunk(width), nn.Linear(width * 4, dim)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` → unit vectors ``(B, dim)``."""
        return nn.functional.normalize(self.project(self.trunk(images)), dim=-1)


class Captioner(nn.Module):
    """The contrastive pair as a judge: how well does a picture fit a sentence?"""

    def __init__(self, width: int, dim: int = 256) -> None:
        super().__init__()
        self.image, self.project = ImageTower(dim), nn.Linear(width, dim)


def as_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Stack pictures of one size, uint8 ``(N, H, W, 3)``."""
    rows = [torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8).view(p.height, p.width, 3) for p in pictures]
    return torch.stack(rows)


def to_unit(images: Tensor) -> Tensor:
    """uint8 ``(N, H, W, 3)`` → float ``(N, 3, H, W)`` in [−1, 1].

    Raises:
        ValueError: the pictures are not uint8 of that shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"pictures must be uint8 (N, H, W, 3), got {images.dtype} {tuple(images.shape)}")
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, eq=False)  # compared and hashed by identity
class Judges:
    """The shipped judges with the names they know."""

    judge: Judge
    captioner: Captioner
    objects: list[str]
    styles: list[str]

    @torch.no_grad()
    def verdicts(self, images: Tensor) -> pd.DataFrame:
        """Name the object and the style of uint8 pictures ``(N, H, W, 3)``, with probabilities."""
        rows = []
        for batch in images.split(256):
            what, how = (logits.softmax(1).max(1) for logits in self.judge(to_unit(batch)))
            rows += list(zip(what.indices.tolist(), what.values.tolist(), how.indices.tolist(), strict=True))
        table = pd.DataFrame(rows, columns=["object", "confidence", "style"])
        table["object"] = [self.objects[i] for i in table["object"]]
        table["style"] = [self.styles[i] for i in table["style"]]
        return table

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Penultimate features ``(N, 160)``: the space FID is measured in."""
        return torch.cat([self.judge.trunk(to_unit(batch)) for batch in images.split(256)])

    @torch.no_grad()
    def clip_scores(self, images: Tensor, sentences: Tensor) -> Tensor:
        """100 · max(0, cosine) of pictures and sentence features at EOS ``(N, d)``: ``(N,)``."""
        seen = torch.cat([self.captioner.image(to_unit(batch)) for batch in images.split(256)])
        said = nn.functional.normalize(self.captioner.project(sentences), dim=-1)
        return 100 * (seen * said).sum(-1).clamp(min=0)


def save_judges(judges: Judges, folder: Path) -> None:
    """Write the judges as float16 safetensors, atomically."""
    names = {"objects": json.dumps(judges.objects), "styles": json.dumps(judges.styles)}
    for name, module in zip(PARTS, (judges.judge, judges.captioner), strict=True):
        state = {k: v.half() if v.is_floating_point() else v for k, v in module.state_dict().items()}
        write_tensors(folder / f"{name}.safetensors", state, names)
    write_sums(folder)


def load_judges(folder: Path | None = None) -> Judges:
    """Read the shipped judges.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is truncated, of another shape, not finite, or not what the folder's ``SHA256SUMS`` says.
    """
    folder = folder or judge_folder()
    for name in PARTS:
        if not (folder / f"{name}.safetensors").is_file():
            raise FileNotFoundError(f"{folder / name}.safetensors is missing; restore it, or run `scapre train judges`")
    check_sums(folder)
    try:
        return _assembled(folder)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:  # of readers and of shapes
        raise ValueError(f"the judges in {folder} are damaged ({error}); restore them with git") from error


def _assembled(folder: Path) -> Judges:
    states = {}
    for name in PARTS:
        with safe_open(folder / f"{name}.safetensors", "pt") as stored:
            names = stored.metadata()
            states[name] = {k: stored.get_tensor(k) for k in stored.keys()}
        if bad := [k for k, weight in states[name].items() if not weight.isfinite().all()]:
            raise ValueError(f"{bad[0]} of the {name} holds NaN or infinity")
    objects, styles = json.loads(names["objects"]), json.loads(names["styles"])
    judge = Judge(len(objects), len(styles))
    captioner = Captioner(states["captioner"]["project.weight"].shape[1])
    judge.load_state_dict(states["judge"])
    captioner.load_state_dict(states["captioner"])
    return Judges(judge.eval(), captioner.eval(), objects, styles)
