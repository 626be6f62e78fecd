"""What was erased from a model folder, beside its weights: so that nobody takes an edited model for an unedited one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scapre.files import new_folder, write_text
from scapre.model.fingerprint import fingerprint
from scapre.patch.patch import Patch

EDITS = "scapre.json"  # in a diffusers folder; diffusers does not read it


def edit_record(patch: Patch, strength: float = 1.0) -> dict[str, Any]:
    """Describe an edit that is in effect: the patch's provenance, its hash, and how much of it was applied."""
    return patch.provenance | {"sha256": fingerprint(patch.changed), "applied": strength}


def edits_of(pipe: Any) -> list[dict[str, Any]]:
    """Read which edits the folder of a pipeline holds already, oldest first; none for another folder or a hub id.

    Raises:
        ValueError: the folder's record is damaged.
    """
    place = Path(str(getattr(pipe, "name_or_path", "") or "absent")) / EDITS
    if not place.is_file():
        return []
    try:
        edits = json.loads(place.read_text(encoding="utf-8"))
        if not all(isinstance(edit["targets"], list) for edit in edits):
            raise ValueError("no list of targets")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{place} is damaged ({error}); write the folder anew with scapre apply") from error
    return edits


def save_pipeline(pipe: Any, folder: str | Path, edits: Sequence[dict[str, Any]] = ()) -> Path:
    """Write a pipeline as a diffusers folder in safetensors, with the edits it holds.

    Raises:
        FileExistsError: the folder exists.
        WriteError: it cannot be written.
    """
    with new_folder(folder) as partial:
        fill(pipe, partial, edits)
    return Path(folder)


def fill(pipe: Any, folder: Path, edits: Sequence[dict[str, Any]]) -> None:
    """Write the files of a pipeline into a folder."""
    pipe.save_pretrained(folder, safe_serialization=True)
    if edits:
        write_text(folder / EDITS, json.dumps(list(edits), indent=1) + "\n")


def undo_edit(pipe: Any, patch: Patch, edits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Undo a patch at the strength it was applied with, and return the edits that stay.

    Raises:
        PatchError: see ``Patch.undo``.
    """
    whole = fingerprint(patch.changed)
    place = next((i for i in reversed(range(len(edits))) if edits[i].get("sha256") == whole), None)
    strength = 1.0 if place is None else edits[place].get("applied", 1.0)
    (patch if strength == 1 else patch.scaled(strength)).undo(pipe)
    return [edit for i, edit in enumerate(edits) if i != place]
