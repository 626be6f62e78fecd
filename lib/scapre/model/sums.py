"""What a folder of a model should hold, bit for bit: ``SHA256SUMS``, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from scapre.files import write_text

SUMS = "SHA256SUMS"  # beside the files; diffusers does not read it
READ = (".safetensors", ".json")  # what a model is made of; its card may be written anew
LINE = re.compile("([0-9a-f]{64}) [ *](.+)")


class DamagedError(ValueError):
    """A file of a model is not what was shipped; the message names it and the remedy."""


def write_sums(folder: Path) -> Path:
    """Write down the hash of every file that a model or a judge is read from.

    Raises:
        WriteError: see ``files.replacing``.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix in READ)
    lines = [f"{sum_of(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    return write_text(folder / SUMS, "".join(lines))


def check_sums(folder: Path) -> None:
    """Compare a folder with its ``SHA256SUMS``; one without passes: other people's models have none.

    Raises:
        DamagedError: a file, or the list itself, is not as it was written.
        FileNotFoundError: a listed file is missing.
    """
    place = folder / SUMS
    if not place.is_file():
        return
    remedy = f"restore it with git, or remove {SUMS} if you changed it"
    for line in place.read_bytes().decode(errors="replace").splitlines():
        found = LINE.fullmatch(line)
        if found is None:
            raise DamagedError(f"{place} is damaged; {remedy}")
        file = folder / found[2]
        if not file.is_file():
            raise FileNotFoundError(f"{folder} is incomplete: {found[2]} is missing; {remedy}")
        if sum_of(file) != found[1]:
            raise DamagedError(f"{file} is damaged: it is not what {SUMS} says; {remedy}")


def sum_of(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
