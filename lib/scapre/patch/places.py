"""Which patch or memory is meant and what is to become of it, before any is read."""

from __future__ import annotations

from pathlib import Path

from scapre.mistakes import Mistake

FORMS = ("patch", "lora", "dora", "webui", "pipeline")


class PatchError(Mistake, RuntimeError):
    """A patch does not fit the model or file at hand; the message says why."""


def find_patch(path: str | Path) -> Path:
    """Find a patch file.

    Raises:
        PatchError: there is none.
    """
    if not Path(path).is_file():
        raise PatchError(f"there is no patch file {path}")
    return Path(path)


def find_memory(path: str | Path) -> Path:
    """Find a memory file (``editing.memory``).

    Raises:
        PatchError: there is none.
    """
    if not Path(path).is_file():
        raise PatchError(f"there is no memory file {path}")
    return Path(path)


def undo_path(path: str | Path) -> Path:
    """Name the companion of a patch file.

    Raises:
        ValueError: the name does not end in ``.safetensors``.

    >>> undo_path("no-cats.safetensors").name
    'no-cats.undo.safetensors'
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"a patch file ends in .safetensors, got {path.name}")
    return path.with_suffix(".undo.safetensors")


def check_form(form: str, rank: int | None, tolerance: float) -> None:
    """Refuse an export that cannot be made.

    Raises:
        ValueError: unknown form, a rank below 1, or a tolerance outside (0, 1).
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; known: {', '.join(FORMS)}")
    if rank is not None and rank < 1:
        raise ValueError(f"the rank must be at least 1, got {rank}")
    if not 0 < tolerance < 1:
        raise ValueError(f"the tolerance must lie between 0 and 1, got {tolerance}")
