"""A full disk and places that cannot be written, in every command that writes: a sentence, and nothing left behind."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import nbformat
import pytest
import scapre
import typer
from limits import largest_file, read_only
from scapre.cli import app
from scapre.pictures.places import LIST, RECORD, SCORES
from scapre.training.parts import EVERY
from scapre.workbook.site import MATHJAX
from typer.testing import CliRunner


def answer(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 1, (done.output, done.exception)
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.output
    return errors[0]


@pytest.fixture(scope="module")
def patch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    made = scapre.erase(scapre.load_pipeline(), ["dog"], retained=["cat"], method="confined", progress=False)
    (folder / "p.csv").write_text("\n".join(["prompt,class", *["a picture of a dog in flat style,dog"] * 2000]))
    return made.save(folder / "x.safetensors")


@pytest.fixture(scope="module")
def edited(patch: Path) -> Path:
    CliRunner().invoke(app, ["apply", "--patch", str(patch), "--out", str(patch.parent / "edited")])
    return patch.parent / "edited"


#: commands that write where they are told
TOLD = [
    ("erase", "--targets", "dog", "--method", "confined", "--out", "OUT.safetensors"),
    ("erase", "--targets", "dog", "--method", "confined", "--out", "HERE/y.safetensors", "--keep-memory", "OUT.memory"),
    ("apply", "--patch", "PATCH", "--out", "OUT"),
    ("undo", "--patch", "PATCH", "--model", "EDITED", "--out", "OUT"),
    ("export", "PATCH", "--form", "patch", "--out", "OUT"),
    ("export", "PATCH", "--form", "webui", "--tolerance", "0.001", "--out", "OUT"),
    ("generate", "--prompts", "LIST", "--workers", "1", "--out", "OUT"),
    ("check", "--patch", "PATCH", "--out", "OUT/table.csv"),
    ("stress", "--patch", "PATCH", "--probes", "synonyms", "--out", "OUT"),
    ("protocol", "emoji-imagenette", "--methods", "confined", "--pictures", "1", "--workers", "1", "--out", "OUT"),
    ("site", "--out", "OUT"),
]
#: commands that write into the repository
FIXED = [
    ("bench", "--model", "tiny"),
    ("bench", "--model", "tiny", "--text"),
    ("families",),
    ("ranks", "--targets-file", "a.txt", "--retain-file", "b.txt"),
    ("run", "01"),
    ("run", "01", "--update"),
    ("figures",),
    ("build-data",),
    *(("train", part) for part in (*EVERY, "all")),
    ("assemble",),
    ("card",),
    ("card", "--control"),
    ("card", "--dit"),
    ("exercises", "01", "--update"),
]
SHORT = {"ids": lambda words: " ".join(words[:4])}


def spelt(words: tuple[str, ...], out: Path, patch: Path, edited: str | Path = "data/models/emoji-sd") -> list[str]:
    known = {"PATCH": str(patch), "LIST": str(patch.parent / "p.csv"), "EDITED": str(edited)}
    return [known.get(w, w.replace("OUT", str(out)).replace("HERE", str(patch.parent))) for w in words]


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one notebook that writes a large file."""
    root = tmp_path / "root"
    (root / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("SCAPRE_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    (root / "environment.yml").touch()
    new = nbformat.v4
    large = f"from scapre.files import write_text\nwrite_text({str(root / 'large')!r}, 'x' * 100_000)"
    nbformat.write(new.new_notebook(cells=[new.new_code_cell(large)]), root / "notebooks" / "01_large.ipynb")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    return root


def test_every_command_that_writes_is_tried() -> None:
    names = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    reads_only = {"inspect", "status", "why", "verify"}
    apart = {"score", "claims"}  # what they write into lies there already: tests of their own, below
    assert names - reads_only == {words[0] for words in [*TOLD, *FIXED]} | apart


@pytest.mark.parametrize("words", TOLD, **SHORT)
def test_places_that_cannot_be_written_are_refused_at_once(words: tuple[str, ...], patch: Path, tmp_path: Path) -> None:
    (tmp_path / "wall").touch()
    (tmp_path / "closed").mkdir()
    for out in (Path("/proc/out"), tmp_path / "wall" / "out", tmp_path / "closed" / "out"):
        with read_only(tmp_path / "closed"):
            said = answer(*spelt(words, out, patch))
        assert f"cannot write {out}" in said
        assert "name another place" in said
    assert left(tmp_path) == ["wall"]


@pytest.mark.parametrize("words", FIXED, **SHORT)
@pytest.mark.parametrize("wall", ["file", "proc", "closed"])
def test_a_repository_that_cannot_be_written_is_refused_at_once(
    words: tuple[str, ...], wall: str, checkout: Path
) -> None:
    before = left(checkout.parent)
    if wall == "file":
        (checkout / "data").touch()
    elif wall == "proc":
        (checkout / "data").symlink_to("/proc")
    with read_only(checkout) if wall == "closed" else nullcontext():
        assert f"cannot write {checkout / 'data'}" in answer(*words)
    (checkout / "data").unlink(missing_ok=True)
    assert left(checkout.parent) == before


@pytest.mark.parametrize("words", TOLD, **SHORT)
def test_a_disk_without_a_byte_left_is_said_at_once(words: tuple[str, ...], patch: Path, tmp_path: Path) -> None:
    with largest_file(0):
        said = answer(*spelt(words, tmp_path / "out", patch))
    assert f"cannot write {tmp_path}" in said or f"cannot write {patch.parent}" in said
    assert left(tmp_path) == []


@pytest.mark.parametrize("words", FIXED, **SHORT)
def test_a_repository_on_a_disk_without_a_byte_left(words: tuple[str, ...], checkout: Path) -> None:
    before = left(checkout.parent)
    with largest_file(0):
        said = answer(*words)
    assert f"cannot write {checkout / 'data'}" in said
    assert left(checkout.parent) == before


BIG = [words for words in TOLD if words[0] not in ("check", "undo", "site", "stress", "protocol")]


@pytest.mark.parametrize("words", BIG, **SHORT)
def test_a_disk_that_fills_up_is_said_and_leaves_nothing(
    words: tuple[str, ...], patch: Path, tmp_path: Path, small_files: None
) -> None:
    beside = left(patch.parent)
    assert "make room or name another place" in answer(*spelt(words, tmp_path / "out", patch))
    assert left(tmp_path) in ([], [RECORD])  # what was written whole stays, and is continued
    assert left(patch.parent) == beside


def test_a_disk_that_fills_up_while_an_edit_is_undone(
    patch: Path, edited: Path, tmp_path: Path, small_files: None
) -> None:
    words = ("undo", "--patch", patch, "--model", edited, "--out", tmp_path / "out")
    assert "make room or name another place" in answer(*words)
    assert left(tmp_path) == []


def test_a_disk_that_fills_up_while_a_site_is_built(
    checkout: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept = checkout / "data" / "cache" / "mathjax" / f"tex-svg-{MATHJAX}.js"
    kept.parent.mkdir(parents=True)
    kept.write_text("x" * 100_000)
    request.getfixturevalue("small_files")
    assert "make room or name another place" in answer("site", "--out", tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_a_score_that_cannot_be_written_is_said_before_anything_is_judged(tmp_path: Path) -> None:
    for name in (RECORD, LIST):
        (tmp_path / name).touch()
    (tmp_path / SCORES).symlink_to("/proc/scores.csv")
    assert f"cannot write {tmp_path / SCORES}" in answer("score", tmp_path)
    (tmp_path / SCORES).unlink()
    (tmp_path / SCORES).mkdir()
    assert "is a folder; name a file" in answer("score", tmp_path)
    (tmp_path / SCORES).rmdir()
    with largest_file(0):
        said = answer("score", tmp_path)
    assert f"cannot write {tmp_path / SCORES}" in said
    assert left(tmp_path) == [RECORD, LIST]


def test_a_disk_that_fills_up_while_a_protocol_runs(patch: Path, tmp_path: Path, small_files: None) -> None:
    """The unedited model's pictures are small and stay; the edit is what finds no room."""
    words = ("protocol", "emoji-imagenette", "--methods", "confined", "--pictures", "1", "--workers", "1")
    said = answer(*words, "--out", tmp_path / "out")
    assert f"cannot write {tmp_path / 'out' / 'confined' / 'patch.safetensors'}" in said
    assert {Path(name).suffix for name in left(tmp_path)} == {".png", ".json", ".csv"}
    assert "pictures" not in left(tmp_path / "out" / "confined")


def test_a_disk_that_fills_up_under_a_stress_suite(patch: Path, tmp_path: Path) -> None:
    """Answers are small, so less is left to it."""
    with largest_file(1 << 9):
        said = answer("stress", "--patch", patch, "--probes", "synonyms", "--out", tmp_path / "out")
    assert "make room or name another place" in said
    assert left(tmp_path) == []


@pytest.fixture
def stale(checkout: Path) -> Path:
    """A repository whose README and notebook say other numbers than the table."""
    (checkout / "data" / "results" / "09_x").mkdir(parents=True)
    (checkout / "data" / "claims.yaml").write_text('results/09_x/t:\n  09.kept: pick("kept", method="ours")\n')
    (checkout / "data" / "results" / "09_x" / "t.csv").write_text("method,kept\nours,97.8\n")
    mark = "We keep <!--=09.kept-->12.3 %<!--/-->.\n"
    (checkout / "README.md").write_text(mark)
    new = nbformat.v4
    nbformat.write(new.new_notebook(cells=[new.new_markdown_cell(mark)]), checkout / "notebooks" / "09_x.ipynb")
    return checkout


@pytest.mark.parametrize("closed", ["notebooks", "."])
def test_claims_are_rewritten_everywhere_or_nowhere(stale: Path, closed: str) -> None:
    book, page = stale / "notebooks" / "09_x.ipynb", stale / "README.md"
    before = {path: path.read_bytes() for path in (book, page)}
    with read_only(stale / closed):
        said = answer("claims", "--update")
    assert f"cannot write {page if closed == '.' else book}" in said
    with largest_file(0):
        assert f"cannot write {page}" in answer("claims", "--update")
    assert {path: path.read_bytes() for path in (book, page)} == before
    assert not list(stale.rglob("*.partial"))
    done = CliRunner().invoke(app, ["claims", "--update"])
    assert "rewrote README.md\nrewrote 09_x.ipynb" in done.output
    assert all("97.8 %" in path.read_text() for path in (book, page))


def test_a_disk_that_fills_up_while_claims_are_rewritten(stale: Path) -> None:
    page = stale / "README.md"
    page.write_text(page.read_text() + "word " * 20_000)
    before = page.read_bytes()
    with largest_file(1 << 16):
        assert f"cannot write {page}" in answer("claims", "--update")
    assert page.read_bytes() == before
    assert not list(stale.rglob("*.partial"))


def test_a_notebook_that_cannot_be_stored_is_said_before_it_runs(checkout: Path) -> None:
    with read_only(checkout / "notebooks"):
        said = answer("run", "01", "--update")
    assert f"cannot write {checkout / 'notebooks' / '01_large.ipynb'}" in said
    assert not (checkout / "large").exists()


def test_a_manifest_that_cannot_be_written_is_said_before_the_notebook_runs(checkout: Path) -> None:
    (checkout / "data").mkdir()
    (checkout / "data" / "manifests").touch()
    assert f"cannot write {checkout / 'data' / 'manifests'}" in answer("run", "01")
    assert not (checkout / "large").exists()
