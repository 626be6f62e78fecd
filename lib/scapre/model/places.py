"""Which model is meant, before any is loaded: a folder or hub id, refused early where it cannot be edited."""

from __future__ import annotations

import json
from pathlib import Path

from scapre.paths import repository

#: the shipped model, and what it is drawn with
EMOJI = "data/models/emoji-sd"
STEPS, GUIDANCE = 8, 3.0


def locate(model: str | Path) -> Path | None:
    """Find the folder of a model; None means a hub id.

    Raises:
        FileNotFoundError: a local folder is missing or incomplete.
        ValueError: the model has no UNet (see ``refusal``).
    """
    place = _local(model)
    if place is None:
        return None
    if not (place / "model_index.json").is_file():
        raise FileNotFoundError(f"{place} holds no model_index.json; restore it with git or name another model")
    index = json.loads((place / "model_index.json").read_text())
    if "unet" not in index:  # refused before gigabytes are read
        raise ValueError(refusal(index.get("_class_name", str(model)), "transformer" in index))
    return place


def refusal(kind: str, transformer: bool) -> str:
    """Say why a pipeline without a UNet (SD3, FLUX) is not edited."""
    remedy = "use Stable Diffusion 1.x, 2.x or SDXL"
    if not transformer:
        return f"{kind} has no UNet to edit; {remedy}"
    return (
        f"{kind} denoises with joint attention, whose keys and values read text that the picture has already "
        f"changed, so a closed form on text features is not exact there; {remedy}"
    )


def _local(model: str | Path) -> Path | None:
    """Find a folder; None means a hub id."""
    given = Path(model)
    for place in (given, repository() / given):
        if place.is_dir():
            return place
    if given.is_absolute() or str(model).count("/") != 1:
        raise FileNotFoundError(f"there is no model folder {model}; give a diffusers folder or a hub id owner/name")
    return None
