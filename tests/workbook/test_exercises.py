"""Exercises at the end of notebooks: told, folded, and true when one does them."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from scapre.cli import app
from scapre.paths import data_folder
from scapre.workbook.claims import Register
from scapre.workbook.exercises import Exercise, exercises, run_exercise, wrong_answers
from scapre.workbook.profiles import check_parameters
from scapre.workbook.runner import find, notebooks
from typer.testing import CliRunner

EVERY = pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.name)


@pytest.mark.parametrize("path", [p for p in notebooks() if p.stem < "08"], ids=lambda p: p.stem)
def test_a_notebook_ends_with_two_exercises_whose_answers_are_folded(path: Path) -> None:
    last = nbformat.read(path, as_version=4).cells[-1].source
    assert last.startswith("## Two exercises\n")
    assert last.count("\n**1.** ") == last.count("\n**2.** ") == 1
    assert last.count("<details><summary>Answer</summary>\n\n") == last.count("\n\n</details>") == 2
    names = {exercise.name[:2] for exercise in exercises()}
    assert path.stem[:2] in names


@EVERY
def test_what_an_exercise_changes_is_said_and_can_be_changed(exercise: Exercise) -> None:
    check_parameters(exercise.notebook, exercise.change)
    told = nbformat.read(exercise.notebook, as_version=4).cells[-1].source
    assert all(f"`{name} = " in told for name in exercise.change)
    sections = {table for table, _ in Register().expressions.values()}
    assert all(f"{exercise.folder}/{table}" in sections for table in exercise.tables)
    assert {p.stem for p in (data_folder() / exercise.folder).iterdir()} == set(exercise.tables)


@pytest.mark.slow
@EVERY
def test_the_answers_hold(exercise: Exercise, tmp_path: Path) -> None:
    tables = run_exercise(exercise, tmp_path)
    assert [table.stem for table in tables] == list(exercise.tables)
    assert wrong_answers(exercise, tmp_path) == []


def test_a_wrong_answer_is_noticed(tmp_path: Path) -> None:
    fourth = next(e for e in exercises() if e.name == "04")
    shutil.copytree(data_folder() / fourth.folder, tmp_path / fourth.folder)
    assert wrong_answers(fourth, tmp_path) == []
    table = tmp_path / fourth.folder / "paths.csv"
    text = table.read_text()
    table.write_text(
        text.replace("straight,0.5000,0.3269,0.3421,0.5074,0.3830", "straight,0.5000,0.3269,0.3421,0.7,0.3830")
    )
    assert table.read_text() != text
    found = wrong_answers(fourth, tmp_path)
    assert len(found) == 2  # the number, and the statement that rests on it
    assert "0.51 and 0.38: the tables say 0.70 and 0.38" in found
    unanswered = Exercise("04b", fourth.change, fourth.tables)
    (tmp_path / unanswered.folder).mkdir()
    assert wrong_answers(unanswered, tmp_path) == ["04b is not answered"]


def test_a_change_the_notebook_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="04_geometry_alignment has no parameter n_target"):
        run_exercise(Exercise("04", {"n_target": 1}, ("paths",)), tmp_path)
    assert find("04").is_file()


def test_the_command_tells_tables_and_fails_on_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(exercise: Exercise, data: Path) -> list[Path]:
        """Copy what is committed, with one number changed in the second notebook's."""
        shutil.copytree(data_folder() / exercise.folder, data / exercise.folder)
        tables = [data / exercise.folder / f"{table}.csv" for table in exercise.tables]
        if exercise.name == "02":
            tables[0].write_text(tables[0].read_text().replace("0.2995", "0.3995"))
        return tables

    monkeypatch.setattr("scapre.workbook.exercises.run_exercise", run)
    good = CliRunner().invoke(app, ["exercises", "04"])
    assert good.exit_code == 0, good.output
    assert "04_geometry_alignment with times = [0.0, 0.5, 1.0], n_targets = 1 …\npaths\npath,t,bures" in good.stdout
    assert "the answers hold" in good.stdout
    bad = CliRunner().invoke(app, ["exercises", "02", "04"])
    assert bad.exit_code == 1
    assert "30, 49 and 76 %: the tables say 40, 49 and 76 %" in bad.stderr
    assert "the answers hold" in bad.stdout
