"""Numbers of the prose are those of the tables; a broken sample proves that each check can fail."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from scapre.cli import app
from scapre.workbook.claims import ClaimError, Register
from scapre.workbook.prose import Document, agrees, documents, examine, spell, update_prose
from scapre.workbook.unmarked import unmarked
from typer.testing import CliRunner

REGISTER = """\
results/09_x/t:
  09.kept: pick("kept", method="ours")
  09.both: pick("kept", method=["ours", "theirs"])
  09.leads: pick("kept", method="ours") > pick("kept", method="theirs")
  09.times: claim("09.kept") / pick("kept", method="theirs")
"""
TABLE = "method,kept\nours,97.7913\ntheirs,32.4\n"
README = "We keep <!--=09.kept-->97.8 %<!--/-->; ours <!--=09.leads 09.times-->leads, three<!--/--> times theirs.\n"
CELL = "# 09 · A\n\n**Question.** Who?\n\nOurs and theirs keep <!--=09.both-->98 and 32 %<!--/-->."


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one table, one page and one notebook, all true."""
    new = nbformat.v4
    (tmp_path / "data" / "results" / "09_x").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "environment.yml").touch()
    (tmp_path / "data" / "claims.yaml").write_text(REGISTER)
    (tmp_path / "data" / "results" / "09_x" / "t.csv").write_text(TABLE)
    (tmp_path / "README.md").write_text(README)
    book = new.new_notebook(cells=[new.new_markdown_cell(CELL), new.new_code_cell("x = 1")])
    (tmp_path / "notebooks" / "09_x.ipynb").write_text(nbformat.writes(book) + "\n")
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    return tmp_path


def faults(root: Path | None = None) -> list[str]:
    register = Register(root and root / "data")
    return [f"{v.place}: {v.written}: {v.fault}" for d in documents(root) for v in examine(d, register) if v.fault]


def test_the_prose_says_what_the_tables_say() -> None:
    assert faults() == []


def test_no_result_is_told_without_a_mark() -> None:
    assert [complaint for document in documents() for complaint in unmarked(document)] == []


def test_every_claim_is_quoted() -> None:
    register = Register()
    quoted = {name for document in documents() for verdict in examine(document, register) for name in verdict.names}
    assert set(register.expressions) == quoted


def test_a_true_sample_has_no_faults(root: Path) -> None:
    assert faults(root) == []
    assert update_prose(Register(root / "data"), root) == []


def test_a_number_of_another_run_is_noticed_and_rewritten(root: Path) -> None:
    table, book = root / "data" / "results" / "09_x" / "t.csv", root / "notebooks" / "09_x.ipynb"
    before = book.read_text()
    table.write_text("method,kept\nours,89.44\ntheirs,22.36\n")
    assert faults(root) == [
        "README.md: 97.8 %: the tables say 89.4 %",
        "README.md: leads, three: the tables say leads, four",
        "09_x, cell 0: 98 and 32 %: the tables say 89 and 22 %",
    ]
    assert [path.name for path in update_prose(Register(root / "data"), root)] == ["README.md", "09_x.ipynb"]
    assert faults(root) == []
    assert README.replace("97.8", "89.4").replace("three", "four") == (root / "README.md").read_text()
    assert before.replace("98 and 32", "89 and 22") == book.read_text()  # nothing else moved


def test_a_statement_that_is_not_so_any_more_is_noticed_and_left_to_people(root: Path) -> None:
    (root / "data" / "results" / "09_x" / "t.csv").write_text("method,kept\nours,89.44\ntheirs,91.2\n")
    assert any("README.md: leads, three: 09.leads is not so any more" in fault for fault in faults(root))
    update_prose(Register(root / "data"), root)
    assert any("09.leads is not so any more" in fault for fault in faults(root))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x <!--=09.keep-->97.8<!--/-->", "no claim is named 09.keep"),
        ("x <!--=09.both-->98<!--/-->", "has 2 numbers, the text 1"),
        ("x <!--=09.kept-->98 of 100<!--/-->", "has 1 numbers, the text 2"),
        ("x <!--=09.kept-->97.8", "a mark is not closed"),
        ("x <!--measured: make figures-->7 min<!--/-->", "neither claims nor `measured: COMMAND, DATE`"),
        ("- <!--=09.kept-->97.8<!--/--> %", "a mark opens the line"),
    ],
)
def test_a_broken_mark_is_noticed(root: Path, text: str, fault: str) -> None:
    found = [v.fault for v in examine(Document(root / "README.md", None, text), Register(root / "data"))]
    assert any(fault in one for one in found), found


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('results/09_x/t:\n  a: pick("kept", method="nobody")', "has 0 rows with method=nobody"),
        ('results/09_x/t:\n  a: pick("kept")', "has 2 rows with no condition"),
        ("results/09_x/u:\n  a: len(t)", "there is no table u.csv"),
        ("results/09_x/t:\n  a: t.method", "neither a truth value nor numbers"),
        ("results/09_x/t:\n  a: nothing + 1", "'nothing' is undefined"),
        ("results/09_x/t:\n  a: t.__class__.__mro__", "is unsafe"),
        ("results/09_x/t:\n  a: 1\n  a: 2", "a stands twice"),
        ("results/09_x/t:\n  a: 1\nresults/09_x/u:\n  a: 2", "names a twice"),
        ("- 1", "must hold a section a table"),
    ],
)
def test_a_broken_register_is_named(root: Path, lines: str, complaint: str) -> None:
    (root / "data" / "claims.yaml").write_text(lines)
    with pytest.raises(ClaimError, match=complaint):
        Register(root / "data").value("a")


@pytest.mark.parametrize(
    "told",
    [
        "97.8",
        "98 %",
        "160 concepts",
        "×9",
        "nine times",
        "two points",
        "a third of them",
        "one in eighteen",
        "ours leads",
    ],
)
@pytest.mark.parametrize(
    "frame", ["# 09 · A\n\n**Question.** Who?\n\nWe find {}.", "## What we learned\n\n- We find {}."]
)
def test_a_result_without_a_mark_is_noticed(told: str, frame: str) -> None:
    assert list(unmarked(Document(Path("09_x.ipynb"), 0, frame.format(told))))
    assert not list(unmarked(Document(Path("09_x.ipynb"), 0, frame.format(f"<!--=09.x-->{told}<!--/-->"))))
    assert list(unmarked(Document(Path("README.md"), None, f"We find {told}.")))


@pytest.mark.parametrize(
    "text",
    ["notebook 10 and `0.75`", "$\\lambda = 80$", "SD 1.5 on 32×32", "[97.8](a.md)"[5:], "at n = 50, a 95 % interval"],
)
def test_settings_and_names_need_no_mark(text: str) -> None:
    assert not list(unmarked(Document(Path("README.md"), None, text)))


def test_rounding_is_that_of_the_digits_written() -> None:
    assert agrees("92", 92.5)  # either way at a tie: tables round as well
    assert agrees("93", 92.5)
    assert not agrees("92.4", 92.5)
    assert agrees("4.21e+03", 4207.4117)
    assert agrees("24,960", 24960.0)
    assert agrees("nan", float("nan"))
    assert not agrees("nan", 1.0)
    assert not agrees("eight", 9.0)
    assert spell(21.0, "nine") == "21"
    assert spell(4.0, "Three") == "Four"


def test_the_command_lists_fails_and_updates(root: Path) -> None:
    good = CliRunner().invoke(app, ["claims"])
    assert good.exit_code == 0, good.output
    assert "ok  09.kept = 97.79  [results/09_x/t]  README.md" in good.stdout
    assert "4 claims at 3 places, 0 faults" in good.stdout
    (root / "data" / "results" / "09_x" / "t.csv").write_text("method,kept\nours,89.44\ntheirs,32.4\n")
    bad = CliRunner().invoke(app, ["claims", "09.kept"])
    assert bad.exit_code == 1
    assert "NO  09.kept = 89.44" in bad.stdout
    assert "README.md: 09.kept '97.8 %': the tables say 89.4 %" in bad.stderr
    assert "rewrote README.md" in CliRunner().invoke(app, ["claims", "--update"]).stdout
    (root / "README.md").write_text("We keep 89.4 %.")
    assert "'89.4 %' has no mark" in CliRunner().invoke(app, ["claims"]).stderr
    assert "09.leads is quoted nowhere" in CliRunner().invoke(app, ["claims"]).stderr
