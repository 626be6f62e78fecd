"""The parts that emoji-sd and its judges are trained in, in this order."""

from __future__ import annotations

from pathlib import Path

from scapre.paths import data_folder

PARTS = ("autoencoder", "text", "decoder", "judge", "denoiser")
#: the shipped model's denoiser once more, from nothing, without the concepts of ``data/concepts/unseen.csv``
CONTROL = "control"
#: the denoiser of emoji-dit, which reads a text encoder that was trained elsewhere, and emoji-sd's latents
TRANSFORMER = "transformer"
EVERY = (*PARTS, CONTROL, TRANSFORMER)


def workplace() -> Path:
    """Checkpoints and logs: ``data/cache/train``, not committed."""
    return data_folder() / "cache" / "train"


def check_part(part: str) -> None:
    """Refuse what is no part.

    Raises:
        ValueError: no such part (the message lists the known ones).
    """
    if part not in EVERY:
        raise ValueError(f"unknown part {part!r}; known: {', '.join(EVERY)}")
