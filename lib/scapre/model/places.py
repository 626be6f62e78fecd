"""Which model is meant, before any is loaded: a folder or hub id, refused early where it cannot be edited."""

from __future__ import annotations

import json
from pathlib import Path

from scapre.model.families import FAMILIES, refusal
from scapre.paths import repository

#: the shipped models, a UNet and a transformer, and what they are drawn with
EMOJI, DIT = "data/models/emoji-sd", "data/models/emoji-dit"
STEPS, GUIDANCE = 8, 3.0
ONE_FILE = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
NO_ENCODER = (
    "{} has no first text encoder, as SDXL's refiner; edit the base model, whose pictures the refiner only sharpens"
)


def locate(model: str | Path) -> Path | None:
    """Find the folder of a model; None means a hub id.

    Raises:
        FileNotFoundError: a local folder is missing or incomplete.
        ValueError: the model has neither a UNet nor a transformer that can be edited (see ``families.refusal``) or no
            first text encoder, is one file, or holds pickles.
    """
    if Path(model).suffix.lower() in ONE_FILE and not Path(model).is_dir():
        raise ValueError(
            f"{model} is a checkpoint of one file; write it as a folder once, with diffusers' "
            f"StableDiffusionPipeline.from_single_file({str(model)!r}).save_pretrained(FOLDER), and name that folder"
        )
    place = _local(model)
    if place is None:
        return None
    if not (place / "model_index.json").is_file():
        raise FileNotFoundError(f"{place} holds no model_index.json; {_instead(place)}")
    try:
        index = dict(json.loads((place / "model_index.json").read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{place / 'model_index.json'} is damaged ({error}); restore it") from error
    kind = (list(index.get("transformer") or ()) or [None])[-1]
    if "unet" not in index and kind not in FAMILIES:  # refused before gigabytes are read
        raise ValueError(refusal(index.get("_class_name", str(model)), kind))
    if index.get("text_encoder") == [None, None]:
        raise ValueError(NO_ENCODER.format(index.get("_class_name", str(model))))
    for part in ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3", "vae"):
        if list(place.glob(f"{part}/*.bin")) and not list(place.glob(f"{part}/*.safetensors")):
            raise ValueError(
                f"{place}/{part} holds its weights as .bin, a pickle, which is not read; write the model anew once, "
                f"with diffusers' DiffusionPipeline.from_pretrained({str(place)!r}, use_safetensors=False)"
                ".save_pretrained(FOLDER), and name that folder"
            )
    return place


def _instead(place: Path) -> str:
    """Say what to name instead of a folder that is no model."""
    if (place.resolve().parent / "model_index.json").is_file():
        return f"it is a part of a model; name the folder above, {place.parent}"
    if (place / "adapter_config.json").is_file() or list(place.glob("pytorch_lora_weights*")):
        return "it is an adapter; name the model that it belongs to"
    return "restore it with git or name another model"


def _local(model: str | Path) -> Path | None:
    """Find a folder; None means a hub id."""
    given = Path(model)
    for place in (given, repository() / given):
        if place.is_dir():
            return place
    if given.is_absolute() or str(model).count("/") != 1:
        raise FileNotFoundError(f"there is no model folder {model}; give a diffusers folder or a hub id owner/name")
    return None
