"""Disks that are full, and folders that nobody may write into."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process, and of those it starts, grows beyond a size; of 0 bytes pytest cannot even log."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


OVERRIDE = 1 << 1  # CAP_DAC_OVERRIDE, by which root writes anywhere


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that cannot be written, by root neither: this thread lays its right to do so down meanwhile."""
    libc, before = ctypes.CDLL(None), folder.stat().st_mode
    version, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(version, held) == 0
    folder.chmod(0o555)
    mine, held[0] = held[0], held[0] & ~OVERRIDE
    assert libc.capset(version, held) == 0
    try:
        yield
    finally:
        held[0] = mine
        assert libc.capset(version, held) == 0
        folder.chmod(before)
