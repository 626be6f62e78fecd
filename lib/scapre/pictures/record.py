"""What a folder of pictures is made from: written before the first picture, compared before every other."""

from __future__ import annotations

import json
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from scapre.concepts.names import same_name
from scapre.files import write_text
from scapre.model.fingerprint import model_sample
from scapre.model.projections import denoiser_of
from scapre.patch.edits import edit_record, edits_of
from scapre.patch.patch import Patch
from scapre.pictures.places import LIST, RECORD, GenerationError


def open_folder(
    folder: str | Path,
    prompts: pd.DataFrame,
    pipe: Any,
    patch: Patch | None,
    *,
    samples: int,
    steps: int,
    guidance: float,
) -> pd.DataFrame:
    """Write what a folder of pictures is made from, or check that it is made from the same.

    Returns:
        the pictures still to draw, one row each: the prompt's columns, ``k``, ``file`` and ``scale``.

    Raises:
        GenerationError: the folder holds pictures of other prompts, models or settings.
        ValueError: fewer than one step or sample, or a guidance scale that is not finite.
    """
    for name, value in (("steps", steps), ("samples", samples)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not isfinite(guidance):
        raise ValueError(f"guidance must be finite, got {guidance}")
    folder = Path(folder)
    record = {
        **_about(pipe, patch),
        "steps": steps,
        "guidance": guidance,
        "samples": samples,
        "versions": {p: version(p) for p in ("scapre", "torch", "diffusers", "transformers")},
    }
    _compare(folder, record)
    texts = {RECORD: json.dumps(record, indent=1) + "\n", LIST: prompts.to_csv(index=False, lineterminator="\n")}
    if (folder / LIST).is_file() and (folder / LIST).read_bytes() != texts[LIST].encode():
        raise GenerationError(f"{folder} holds pictures of other prompts or settings ({LIST}); name another folder")
    for name, text in texts.items():
        if not (folder / name).is_file():
            write_text(folder / name, text)
    table = listing(prompts, samples)
    table["scale"] = table["evaluation_guidance"].fillna(guidance)
    return table[[not (folder / name).is_file() for name in table["file"]]]


def listing(prompts: pd.DataFrame, samples: int) -> pd.DataFrame:
    """One row a picture: the prompt's columns, ``k`` and ``file``."""
    table = prompts.loc[prompts.index.repeat(samples)].reset_index(drop=True)
    k = table.groupby("case_number").cumcount()
    return table.assign(k=k, file=table["case_number"].astype(str) + "_" + k.astype(str) + ".png")


def read_record(folder: str | Path) -> dict[str, Any]:
    """Read what a folder of pictures was made from.

    Raises:
        GenerationError: its record is damaged.
    """
    place = Path(folder) / RECORD
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GenerationError(f"{place} is damaged ({error}); draw into another folder") from error
    if not isinstance(found, dict):
        raise GenerationError(f"{place} is damaged (no record); draw into another folder")
    return found


def erased(record: dict[str, Any]) -> set[str]:
    """The targets of every edit a folder's pictures were drawn under: of the patch, and of the model's own."""
    edits = [*record.get("edits", ()), *([record["patch"]] if record.get("patch") else [])]
    return {same_name(name) for edit in edits for name in edit["targets"]}


def _about(pipe: Any, patch: Patch | None) -> dict[str, Any]:
    """Everything of a pipeline that a picture depends on."""
    scheduler = getattr(pipe, "scheduler", None)
    settings = {k: v for k, v in dict(getattr(scheduler, "config", {})).items() if not k.startswith("_")}
    return {
        "model": Path(str(getattr(pipe, "name_or_path", "") or "unnamed")).name,
        "weights": model_sample(pipe, () if patch is None else patch.edited),
        "dtype": str(denoiser_of(pipe).dtype).removeprefix("torch."),
        "scheduler": json.loads(json.dumps({"class": type(scheduler).__name__, **settings}, default=str)),
        "safety_checker": "off while drawing" if getattr(pipe, "safety_checker", None) is not None else "none",
        "edits": edits_of(pipe),
        "patch": None if patch is None else edit_record(patch),
    }


def _compare(folder: Path, record: dict[str, Any]) -> None:
    """Say what differs from the pictures a folder holds."""
    if not (folder / RECORD).is_file():
        return
    before, now = read_record(folder), json.loads(json.dumps(record))
    if before != now:
        keys = [key for key in now | before if before.get(key) != now.get(key)]
        raise GenerationError(
            f"{folder} holds pictures of other prompts or settings ({RECORD}: {', '.join(keys)}); name another folder"
        )
