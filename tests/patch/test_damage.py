"""Files cut short or with flipped bits, at any place: said, never read as something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import scapre
from hypothesis import given
from scapre.editing.memory import Memory
from scapre.patch.places import PatchError, undo_path
from strange import damaged, damages, repeated
from toys import tiny_pipe


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    memory = scapre.remember(PIPE, ["cat", "dög"], retained=["tree"], progress=False)
    memory.save(folder / "memory.safetensors", PIPE)
    scapre.solve(PIPE, memory, progress=False).save(folder / "patch.safetensors")
    return folder


@repeated(500)
@given(damages())
def test_a_damaged_patch_is_refused(files: Path, damage: tuple[float, int | None]) -> None:
    bad = files / "bad.safetensors"
    bad.write_bytes(damaged((files / "patch.safetensors").read_bytes(), *damage))
    with pytest.raises(PatchError):
        scapre.Patch.load(bad)


@repeated(500)
@given(damages())
def test_a_damaged_companion_is_refused(files: Path, damage: tuple[float, int | None]) -> None:
    (files / "two.safetensors").write_bytes((files / "patch.safetensors").read_bytes())
    companion = undo_path(files / "patch.safetensors").read_bytes()
    undo_path(files / "two.safetensors").write_bytes(damaged(companion, *damage))
    with pytest.raises(PatchError):
        scapre.Patch.load(files / "two.safetensors")


@repeated(500)
@given(damages())
def test_a_damaged_memory_is_refused(files: Path, damage: tuple[float, int | None]) -> None:
    bad = files / "bad-memory.safetensors"
    bad.write_bytes(damaged((files / "memory.safetensors").read_bytes(), *damage))
    with pytest.raises(PatchError):
        Memory.load(bad, PIPE)


PIPE = tiny_pipe()
