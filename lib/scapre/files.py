"""Write files: what cannot be written is said before the work, what is written appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from safetensors import SafetensorError

if TYPE_CHECKING:
    from torch import Tensor

PARTIAL = ".partial"  # ending of what is being written; a next call overwrites what a kill left


class WriteError(OSError):
    """A file cannot be written; the message names it and the remedy."""


def claim(*paths: str | Path | None, room: int = 0) -> None:
    """Refuse places that cannot be written, before any work; nothing is left behind.

    Args:
        *paths: files or folders to be written, each another; None is passed over.
        room: bytes that all of them together will need.

    Raises:
        WriteError: two paths are one, a path is a folder or lies below a file, nothing can be written there,
            or there is no room.
    """
    given = [Path(path) for path in paths if path is not None]
    seen: dict[Path, Path] = {}
    for path in given:
        if (twin := seen.setdefault(_place(path), path)) is not path:
            raise WriteError(f"{path} is named twice ({twin}); give every file a name of its own")
    for path in given:
        _try(path, room)
        if path.is_dir():
            raise WriteError(f"{path} is a folder; name a file")


def _place(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise WriteError(f"cannot write {path} ({error}); name another place") from error


def _try(path: Path, room: int = 0) -> None:
    """Write a nameless file into the nearest folder above a path."""
    try:
        path.with_name(path.name + PARTIAL).exists()  # complains of a name that is too long
        folder = next(above for above in _place(path).parents if above.exists())
        with TemporaryFile(dir=folder) as trial:
            trial.write(b"\0")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise WriteError(f"cannot write {path} ({reason(error)}); name another place") from error
    if free < room:
        raise WriteError(f"cannot write {path}: {room / 2**20:.0f} MB are needed and {free / 2**20:.0f} MB are free")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Hand out a partial file that takes the place of ``path`` at the end, or goes after an error.

    Raises:
        WriteError: it cannot be written: no permission, no room.
    """
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL)
    with naming(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
        except BaseException:
            _remove(partial)
            raise


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Tell an error of writing with the name of the place and a remedy.

    Raises:
        WriteError: see ``replacing``.
    """
    try:
        yield
    except BaseException as error:
        if cause := _of_writing(error):
            raise WriteError(f"cannot write {path} ({reason(cause)}); make room or name another place") from error
        raise


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 with line ends as they are, atomically.

    Raises:
        WriteError: see ``replacing``.
    """
    with replacing(path) as partial:
        partial.write_bytes(text.encode())
    return Path(path)


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> Path:
    """Write a safetensors file with strings as its metadata, atomically.

    Raises:
        WriteError: see ``replacing``.
    """
    from safetensors.torch import save_file  # imports torch

    with replacing(path) as partial:
        save_file({name: t.cpu().contiguous() for name, t in tensors.items()}, partial, dict(about or {}))
    return Path(path)


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """Fill a folder that appears only when complete.

    Raises:
        FileExistsError: it exists already.
        WriteError: it cannot be written.
    """
    claim_folder(folder)
    with replacing_folder(folder) as partial:
        yield partial


@contextmanager
def replacing_folder(folder: str | Path) -> Iterator[Path]:
    """Fill a folder that takes the place of an older one when complete.

    Raises:
        WriteError: it cannot be written.
    """
    folder = Path(folder)
    partial = folder.with_name(folder.name + PARTIAL)
    with naming(folder):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if folder.exists():
                shutil.rmtree(folder)
            partial.replace(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def claim_folder(folder: str | Path, room: int = 0) -> None:
    """Refuse a new folder that exists or cannot be made, before any work.

    Raises:
        FileExistsError: it exists already.
        WriteError: see ``claim``.
    """
    folder = Path(folder)
    _try(folder, room)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; name another folder or remove it")


def reason(error: Exception) -> str:
    """Say what an operating system complains of, without its number.

    >>> reason(OSError(28, "No space left on device", "x"))
    'No space left on device'
    """
    return getattr(error, "strerror", None) or str(error)


def _of_writing(error: BaseException) -> Exception | None:
    """An error of input or output, to be told with the file's name; None: another, or told already."""
    plain = isinstance(error, (OSError, SafetensorError)) and not isinstance(error, WriteError)
    return error if plain else None  # type: ignore[return-value]


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return  # the place itself is gone; the first error tells
