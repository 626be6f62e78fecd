from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scapre.files import WriteError, claim, claim_folder, new_folder, replacing, write_tensors, write_text


@pytest.mark.parametrize("place", ["/proc/x.safetensors", "/proc/new/x.safetensors", "wall/x.safetensors", "x" * 300])
def test_places_that_cannot_be_written_are_refused_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "wall").write_text("a file in the way of a folder")
    for refuse in (claim, claim_folder):
        with pytest.raises(WriteError, match=r"cannot write .*name another place"):
            refuse(tmp_path / place)
    with pytest.raises(WriteError, match="cannot write"), new_folder(tmp_path / place):
        pass
    with pytest.raises(WriteError, match="cannot write"):
        write_text(tmp_path / place, "x")
    assert [p.name for p in tmp_path.iterdir()] == ["wall"]


def test_two_outputs_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WriteError, match="is named twice"):
        claim("x", None, tmp_path / "y" / ".." / "x")
    with pytest.raises(WriteError, match="is a folder"):
        claim(tmp_path)
    claim("x", "y")
    assert not list(tmp_path.iterdir())


def test_no_room_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"MB are needed and .* MB are free"):
        claim(tmp_path / "x", room=2**60)


def half_write(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise error


def half_fill(folder: Path, error: type[BaseException]) -> None:
    with new_folder(folder) as partial:
        (partial / "half").touch()
        raise error


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "old\r\n")
    for error in (KeyboardInterrupt, ZeroDivisionError):
        with pytest.raises(error):
            half_write(tmp_path / "x", error)
        with pytest.raises(error):
            half_fill(tmp_path / "folder", error)
    with pytest.raises(WriteError, match=r"No space left on device.*make room"), replacing(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old\r\n"


def test_a_full_disk_is_said_and_leaves_nothing(small_files: None, tmp_path: Path) -> None:
    large = {"weight": torch.zeros(1 << 18)}
    with pytest.raises(WriteError, match=r"cannot write .*x.safetensors"):
        write_tensors(tmp_path / "x.safetensors", large)
    with pytest.raises(WriteError, match="cannot write"):
        write_text(tmp_path / "x", "a" * (1 << 20))
    with pytest.raises(WriteError, match="cannot write"), new_folder(tmp_path / "folder") as partial:
        write_text(partial / "x", "a" * (1 << 20))
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.partial").write_text("half")
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "half").touch()
    write_text(tmp_path / "x", "whole")
    with new_folder(tmp_path / "folder") as partial:
        (partial / "whole").touch()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["folder", "whole", "x"]
