"""What a process opens: files, and the third-party packages it imports, noted as it goes.

A notebook's kernel and the processes it starts follow ``$SCAPRE_TRAIL``, a folder into which each writes one file of
lines ``r PATH``, ``w PATH`` and ``p PACKAGE``. Modules are noted as their sources, whatever was read in their place.
"""

from __future__ import annotations

import os
import sys
from importlib.util import source_from_cache
from typing import Any

FOLDER = "SCAPRE_TRAIL"  # environment variable
WRITES = os.O_WRONLY | os.O_RDWR
_followed: set[str] = set()


def follow() -> None:
    """Note from now on what this process opens, when ``$SCAPRE_TRAIL`` names a folder; once in a process."""
    folder = os.environ.get(FOLDER)
    if not folder or folder in _followed:
        return
    _followed.add(folder)
    seen: set[str] = set()
    file = os.open(os.path.join(folder, str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, about: tuple[Any, ...]) -> None:
        if event != "open" or isinstance(about[0], int):
            return
        line = _line(os.fsdecode(about[0]), about[1], about[2])
        if line and line not in seen:
            seen.add(line)
            os.write(file, f"{line}\n".encode())

    sys.addaudithook(note)
    _watch_safetensors(note)


def _line(path: str, mode: str | None, flags: int) -> str:
    """What to note of an opened file; empty: nothing, it is the system's or Python's own."""
    path = os.path.realpath(path)
    _, found, inside = path.rpartition("/site-packages/")
    if found:
        top, _, rest = inside.partition("/")
        return f"p {(rest if top == '__pycache__' else top).partition('.')[0]}"
    if path.startswith(("/proc/", "/sys/", "/dev/", os.path.dirname(os.__file__))):
        return ""
    if "/__pycache__/" in path:
        try:
            path = source_from_cache(path)
        except ValueError:
            return ""  # what is being compiled
    writes = any(letter in mode for letter in "wax+") if mode else bool(flags & WRITES)
    return f"{'w' if writes else 'r'} {path}"


def _watch_safetensors(note: Any) -> None:
    """Note the tensor files as well: Rust opens them, which no audit hook sees."""
    import safetensors

    opened = safetensors.safe_open

    def safe_open(filename: Any, *more: Any, **named: Any) -> Any:
        note("open", (filename, "r", 0))
        return opened(filename, *more, **named)

    safetensors.safe_open = safe_open  # type: ignore[assignment,misc]
