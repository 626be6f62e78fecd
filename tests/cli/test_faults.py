"""A full disk and places that cannot be written, in every command that writes: a sentence, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import scapre
from scapre.cli import app
from typer.testing import CliRunner


def answer(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 1, (done.output, done.exception)
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


@pytest.fixture(scope="module")
def patch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    made = scapre.erase(scapre.load_pipeline(), ["dog"], retained=["cat"], method="confined", progress=False)
    (folder / "p.csv").write_text("\n".join(["prompt,class", *["a picture of a dog in flat style,dog"] * 2000]))
    return made.save(folder / "x.safetensors")


COMMANDS = [
    ("erase", "--targets", "dog", "--method", "confined", "--out", "OUT.safetensors"),
    ("apply", "--patch", "PATCH", "--out", "OUT"),
    ("undo", "--patch", "PATCH", "--model", "data/models/emoji-sd", "--out", "OUT"),
    ("export", "PATCH", "--form", "patch", "--out", "OUT"),
    ("export", "PATCH", "--form", "webui", "--tolerance", "0.001", "--out", "OUT"),
    ("generate", "--prompts", "LIST", "--workers", "1", "--out", "OUT"),
    ("check", "--patch", "PATCH", "--out", "OUT/table.csv"),
    ("site", "--out", "OUT"),
]


def spelt(words: tuple[str, ...], out: Path, patch: Path) -> list[str]:
    known = {"PATCH": str(patch), "LIST": str(patch.parent / "p.csv")}
    return [known.get(w, w.replace("OUT", str(out))) for w in words]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:4]))
def test_places_that_cannot_be_written_are_refused_at_once(words: tuple[str, ...], patch: Path, tmp_path: Path) -> None:
    (tmp_path / "wall").touch()
    for out in (Path("/proc/out"), tmp_path / "wall" / "out"):
        assert "cannot write" in answer(*spelt(words, out, patch))
    assert [p.name for p in tmp_path.iterdir()] == ["wall"]


@pytest.mark.parametrize("words", [*COMMANDS[:2], *COMMANDS[3:6]], ids=lambda words: " ".join(words[:4]))
def test_a_full_disk_is_said_and_leaves_nothing(
    words: tuple[str, ...], patch: Path, tmp_path: Path, small_files: None
) -> None:
    assert "cannot write" in answer(*spelt(words, tmp_path / "out", patch))
    left = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert left in ([], ["generation.json"])  # what was written whole stays, and is continued


@pytest.mark.parametrize("words", [("bench", "--model", "tiny"), ("families",), ("ranks",), ("run", "01")])
def test_a_workbook_that_cannot_be_written_is_refused_at_once(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    (tmp_path / "environment.yml").touch()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_x.ipynb").touch()
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("a", "b"):
        (lists / f"{name}.txt").write_text(f"{name}\n")
    (tmp_path / "data").touch()  # a file in the way of a folder
    if words == ("ranks",):
        words = ("ranks", "--targets-file", str(lists / "a.txt"), "--retain-file", str(lists / "b.txt"))
    assert "cannot write" in answer(*words)
