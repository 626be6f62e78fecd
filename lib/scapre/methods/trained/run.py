"""An eraser that trains, as the registry calls it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scapre.methods.solution import Wish
from scapre.methods.trained.eraser import Eraser
from scapre.methods.trained.loop import train


def run(kind: type[Eraser], pipe: Any, wish: Wish, *, seed: int, progress: bool, **settings: Any) -> dict[str, Tensor]:
    """Train a student of the pipeline's UNet and return its edited weights; see ``solution.Editor``.

    Raises:
        ValueError: a setting out of range, a pipeline that lacks a part, or a wish that lacks concepts to keep.
    """
    eraser = kind(**settings)
    eraser.open(pipe, wish, seed, progress=progress)
    return train(eraser)
