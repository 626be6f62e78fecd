"""Safetensors files whose every bit is vouched for: tensors and texts under one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from scapre.files import write_tensors
from scapre.model.fingerprint import fingerprint
from scapre.patch.places import PatchError

SEAL = "seal"


def write_sealed(path: str | Path, tensors: Mapping[str, Tensor], kind: str, texts: Mapping[str, str]) -> Path:
    """Write tensors and texts, atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    about = {"format": kind, **texts}
    return write_tensors(path, tensors, about | {SEAL: _seal(tensors, about)})


def read_sealed(path: Path, kind: str, remedy: str, older: str = "") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what ``write_sealed`` wrote.

    Args:
        kind: its format.
        remedy: what to do about a damaged file.
        older: a format without a seal that is read as well.

    Raises:
        PatchError: another file, or one that is not as it was written.
    """
    try:
        with safe_open(path, "pt") as stored:
            about = dict(stored.metadata() or {})
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise PatchError(f"{path} is not an intact safetensors file ({error}); {remedy}") from error
    if about.get("format") not in (kind, older or kind):
        raise PatchError(f"{path} is not a {kind} file; {remedy}")
    seal = about.pop(SEAL, None)
    if seal != _seal(tensors, about) and not (seal is None and about["format"] == older):
        raise PatchError(f"{path} does not hold what was saved; {remedy}")
    return tensors, about


def _seal(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{fingerprint(tensors)}{json.dumps(about, sort_keys=True)}".encode()).hexdigest()
