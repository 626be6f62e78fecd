"""What text encoders have said once, kept on disk: tensors by the hash of everything they depend on.

One folder for the vocabulary's moments and those of lists; bounded; read and written by many processes at once.
A record that is missing, damaged or cut off by a kill is made anew: the folder costs or saves time, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from scapre.files import WriteError, write_tensors
from scapre.model.fingerprint import fingerprint, size_of
from scapre.model.weights import ENCODERS
from scapre.text.embeddings import read_tokens

log = logging.getLogger(__name__)
FORMAT = "scapre-kept-1"
OFF = "off"  # the value of $SCAPRE_CACHE that keeps nothing
LIMIT = 4 * 2**30  # bytes of all records; those used longest ago make room
LEFT = 3600  # seconds after which a file that is still being written was left by a killed process
ENDING = ".safetensors"


def recall(about: Any, make: Callable[[], dict[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
    """Take tensors from disk, or make them and keep them there.

    Args:
        about: plain JSON of everything the tensors depend on (see ``readings``).
        make: what computes them; what is read back is the same bit for bit.
        device: where they are wanted; it holds float64. On the CPU they stay in the file until they are touched.

    Returns:
        the tensors by name.
    """
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / (hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24] + ENDING)
    if (kept := _load(path, device)) is not None:
        return kept
    made = make()
    size = size_of(made)
    if size > LIMIT // 4:
        return made
    try:
        _make_room(folder, size)
        # workers may write one record at once: each its own file, the last one stays
        write_tensors(path.with_suffix(f".{os.getpid()}"), made, {"format": FORMAT}).replace(path)
    except (WriteError, OSError) as error:
        log.info("nothing is kept on disk (%s)", error)
    return made


def cache_folder() -> Path | None:
    """Where records lie: ``$SCAPRE_CACHE``, else ``scapre`` in the user's cache folder; None: it is ``off``."""
    if chosen := os.environ.get("SCAPRE_CACHE"):
        return None if chosen == OFF else Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scapre"


def readings(pipe: Any, sentences: Sequence[str]) -> list[Any]:
    """What a pipeline makes of sentences, as plain JSON: bits of its text encoders, window, ids of each sentence."""
    encoders = [encoder for part in ENCODERS if (encoder := getattr(pipe, part, None)) is not None]
    weights = [fingerprint(encoder.state_dict()) for encoder in encoders]
    return [weights, pipe.tokenizer.model_max_length, read_tokens(pipe, sentences)]


def _load(path: Path, device: torch.device) -> dict[str, Tensor] | None:
    try:
        with safe_open(path, "pt") as stored:
            if (stored.metadata() or {}).get("format") != FORMAT:
                return None
            found = {name: stored.get_tensor(name).to(device) for name in stored.keys()}
        os.utime(path)
    except (SafetensorError, OSError):
        return None
    return found


def _make_room(folder: Path, size: int) -> None:
    """Remove the records used longest ago until another of ``size`` bytes fits, and what killed writers left."""
    found = []
    for file in folder.iterdir() if folder.is_dir() else ():
        try:
            about = file.stat()
            if file.suffix == ENDING:
                found.append((about.st_mtime, about.st_size, file))
            elif about.st_mtime < time.time() - LEFT:
                file.unlink()
        except FileNotFoundError:  # another process was first
            continue
    room = LIMIT - size - sum(bytes_ for _, bytes_, _ in found)
    for _, bytes_, file in sorted(found):
        if room >= 0:
            break
        file.unlink(missing_ok=True)
        room += bytes_
