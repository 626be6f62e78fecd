"""LPIPS: how far two pictures lie apart in the features of VGG-16, weighed as people see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, normalize

from scapre.pictures.judges import as_tensor, to_unit
from scapre.pictures.places import GenerationError

BACKBONE, HEADS = "model.safetensors", "lpips.safetensors"
#: places of VGG-16's convolutions among its features, pool by pool; what leaves the last of each is compared
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
#: of the channels in [−1, 1], as LPIPS was trained
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
FEW = 8  # pairs at once: the first features of 512² are large
WANTED = (
    f"LPIPS reads a folder of two files and downloads none: {BACKBONE} of timm/vgg16.tv_in1k (hub) and {HEADS}, "
    "the weights v0.1/vgg.pth of the package lpips (torchmetrics brings the same as "
    "functional/image/lpips_models/vgg.pth) written once with safetensors.torch.save_file; give --judge that folder"
)


class PerceptualJudge:
    """LPIPS of Zhang et al. (CVPR 2018), version 0.1 on VGG-16, without torchvision.

    Σ_l mean over places of Σ_c w_lc (f̂_lc(x) − f̂_lc(y))²,  f̂ = f / ‖f‖ over channels
    """

    about = "LPIPS 0.1, VGG-16"

    def __init__(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> None:
        """Take weights under their published names.

        Raises:
            KeyError: a weight is missing.
            ValueError: a head does not fit its features, or a number is not finite.
        """
        self.stages = [
            [(backbone[f"features.{i}.weight"].float(), backbone[f"features.{i}.bias"].float()) for i in stage]
            for stage in STAGES
        ]
        self.heads = [heads[f"lin{i}.model.1.weight"].float().flatten() for i in range(len(STAGES))]
        for stage, head in zip(self.stages, self.heads, strict=True):
            if len(head) != len(stage[-1][1]):
                raise ValueError(f"{len(head)} weights for {len(stage[-1][1])} features")
        held = [*self.heads, *(weight for stage in self.stages for pair in stage for weight in pair)]
        if not all(weight.isfinite().all() for weight in held):
            raise ValueError("a weight is NaN or infinity")

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> PerceptualJudge:
        """Read the two files of a folder.

        Raises:
            GenerationError: one is missing or holds something else.
        """
        try:
            return cls(*(load_file(Path(folder) / name, device=device) for name in (BACKBONE, HEADS)))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise GenerationError(f"no LPIPS can be read from {folder} ({error}); {WANTED}") from error

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """See ``PictureJudge``; pictures of any class are compared."""
        return {}

    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """See ``PictureJudge``; of a picture alone LPIPS knows nothing."""
        return pd.DataFrame(index=range(len(pictures)))

    def features(self, pictures: Sequence[Image.Image]) -> None:
        """None: they are as large as the pictures; ``apart`` compares them at once."""

    @torch.no_grad()
    def apart(self, pictures: Sequence[Image.Image], others: Sequence[Image.Image]) -> Tensor:
        """Distance of every pair of two equally long lists, ``(N,)``; pictures of one size."""
        found = []
        for start in range(0, len(pictures), FEW):
            some = [self._pixels(each[start : start + FEW]) for each in (pictures, others)]
            stages = zip(self.heads, *(self._stages(pixels) for pixels in some), strict=True)
            found.append(sum(((a - b).square().mean((2, 3)) @ head for head, a, b in stages), torch.zeros(())).cpu())
        return torch.cat(found) if found else torch.zeros(0)

    def _pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        pixels = to_unit(as_tensor(pictures)).to(self.heads[0].device)
        shift, scale = (pixels.new_tensor(numbers)[:, None, None] for numbers in (SHIFT, SCALE))
        return (pixels - shift) / scale

    def _stages(self, pixels: Tensor) -> Iterator[Tensor]:
        for number, stage in enumerate(self.stages):
            pixels = max_pool2d(pixels, 2) if number else pixels
            for weight, bias in stage:
                pixels = conv2d(pixels, weight, bias, padding=1).relu()
            yield normalize(pixels, dim=1, eps=1e-10)
