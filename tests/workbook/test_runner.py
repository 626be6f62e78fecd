from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from scapre.cli import app
from scapre.pool import cores
from scapre.workbook.profiles import check_parameters, parameters, profile_values
from scapre.workbook.runner import (
    START_TRIES,
    NotebookError,
    executed_copy,
    find,
    notebooks,
    run_many,
    run_notebook,
)
from scapre.workbook.scrubbing import scrub
from typer.testing import CliRunner

NOTE = """import json, os, pathlib, time
facts = {"runtime": os.environ["JUPYTER_RUNTIME_DIR"], "threads": os.environ["OMP_NUM_THREADS"], "seed": seed}
pathlib.Path(f"{out}.partial").write_text(json.dumps(facts | {"begin": begin, "end": time.time()}))
os.replace(f"{out}.partial", out)"""


def write(path: Path, *cells: str) -> Path:
    new = nbformat.v4
    first = new.new_code_cell(
        f"import time\nseed = 1\nbegin = time.time()\nout = {str(path.with_suffix('.json'))!r}",
        metadata={"tags": ["parameters"]},
    )
    book = new.new_notebook(
        cells=[first, *map(new.new_code_cell, cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path.parent.mkdir(exist_ok=True)
    nbformat.write(book, path)
    return path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "environment.yml").touch()
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def test_unknown_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"no parameter sed; it knows .*seed"):
        run_notebook(notebooks()[0], tmp_path / "x.ipynb", {"sed": 1})


def test_unknown_notebooks_are_refused() -> None:
    with pytest.raises(NotebookError, match="no notebook named '99'"):
        find("99")
    assert find("00") == notebooks()[0]


def test_a_failing_cell_is_named_and_leaves_no_result(tmp_path: Path) -> None:
    path = write(tmp_path / "09_fails.ipynb", "1 / 0")
    with pytest.raises(NotebookError, match="09_fails, cell 2: ZeroDivisionError"):
        run_notebook(path, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_slow_cell_and_a_dead_kernel_are_named(tmp_path: Path) -> None:
    slow = write(tmp_path / "08_slow.ipynb", "time.sleep(60)")
    with pytest.raises(NotebookError, match="08_slow: a cell took over 1 s"):
        run_notebook(slow, tmp_path / "out.ipynb", timeout=1)
    dead = write(tmp_path / "09_dies.ipynb", "import os\nos._exit(9)")
    with pytest.raises(NotebookError, match="09_dies: its kernel died"):
        run_notebook(dead, tmp_path / "out.ipynb")


@pytest.mark.parametrize("misses", [START_TRIES - 1, START_TRIES])
def test_a_kernel_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, misses: int
) -> None:
    path, calls = write(tmp_path / "09_fine.ipynb"), []

    def start(_: str, output: str, *args: object, **kwargs: object) -> None:
        calls.append(output)
        if len(calls) <= misses:
            raise RuntimeError("Kernel died before replying to kernel_info")
        Path(output).write_text(path.read_text())

    monkeypatch.setattr(papermill, "execute_notebook", start)
    if misses < START_TRIES:
        run_notebook(path, tmp_path / "out.ipynb")
        assert [p.name for p in tmp_path.glob("out*")] == ["out.ipynb"]
    else:
        with pytest.raises(NotebookError, match="09_fine: the kernel did not start"):
            run_notebook(path, tmp_path / "out.ipynb")
    assert len(calls) == START_TRIES


@pytest.mark.slow
def test_notebooks_run_side_by_side_and_one_failure_stops_no_other(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scapre.workbook.runner.STAGGER", 0.1)
    books = checkout / "notebooks"
    cells = {"01_fine": ["time.sleep(4)", NOTE], "02_fails": ["time.sleep(4)", NOTE, "1 / 0"], "03_fine": [NOTE]}
    paths = [write(books / f"{name}.ipynb", *sources) for name, sources in cells.items()]
    (books / "profiles").mkdir()
    (books / "profiles" / "01_fine.full.yaml").write_text(yaml.safe_dump({"seed": 7}))
    outcomes = {o.name: o.error for o in run_many(paths, jobs=2, profile="full")}
    assert "02_fails, cell 4: ZeroDivisionError" in outcomes.pop("02_fails")
    assert outcomes == {"01_fine": "", "03_fine": ""}
    facts = [json.loads((books / f"{name}.json").read_text()) for name in cells]
    assert [f["seed"] for f in facts] == [7, 1, 1]
    assert len({f["runtime"] for f in facts}) == 3
    assert {f["threads"] for f in facts} == {str(max(1, cores() // 2))}
    assert facts[1]["begin"] < facts[0]["end"]
    assert facts[0]["begin"] < facts[1]["end"]
    assert (checkout / "data" / "cache" / "executed" / "01_fine.ipynb").is_file()


@pytest.mark.slow
def test_the_command_says_how_each_ended_and_updates(checkout: Path) -> None:
    path = write(checkout / "notebooks" / "01_fine.ipynb", "print('hello')")
    write(checkout / "notebooks" / "02_fails.ipynb", "1 / 0")
    done = CliRunner().invoke(app, ["run", "--update", "--jobs", "2"])
    assert done.exit_code == 1
    assert "01_fine " in done.stdout
    assert "02_fails, cell 2: ZeroDivisionError" in done.stderr
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].text == "hello\n"


def test_profiles_are_checked_before_anything_runs(checkout: Path) -> None:
    path = write(checkout / "notebooks" / "01_fine.ipynb")
    folder = checkout / "notebooks" / "profiles"
    folder.mkdir()
    assert profile_values(path, "default") == {}
    for text, complaint in (
        ("sed: 1", "no parameter sed"),
        ("seed: 1\nseed: 2", "seed is set twice; set it once"),
        ("- 1", "must hold lines"),
        ("a: [", "is not YAML"),
    ):
        (folder / "01_fine.full.yaml").write_text(text)
        with pytest.raises(NotebookError, match=complaint):
            run_many([path], profile="full")
    with pytest.raises(NotebookError, match="no notebook has a profile 'ful'; known: default, full"):
        run_many([path], profile="ful")
    done = CliRunner().invoke(app, ["run", "--profile", "ful"])
    assert done.exit_code == 1
    assert "known: default, full" in done.stderr


def test_scrubbing_removes_what_differs_between_runs(tmp_path: Path) -> None:
    path = write(tmp_path / "09_fine.ipynb", "import ipywidgets\nipywidgets.Checkbox()")
    run_notebook(path, tmp_path / "out.ipynb", {"seed": 2})
    assert "widget-view" not in (tmp_path / "out.ipynb").read_text()  # of a kernel that is gone
    scrub(tmp_path / "out.ipynb")
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert not {"papermill", "widgets"} & set(done.metadata)
    assert [c.metadata for c in done.cells] == [{"tags": ["parameters"]}, {"tags": []}]
    assert done.cells[1].outputs == []
    assert done.cells[0].execution_count == 1


def cell(path: Path, source: str) -> Path:
    """A notebook with this parameters cell alone, as an editor without kernels leaves it."""
    new = nbformat.v4
    path.parent.mkdir(exist_ok=True)
    book = new.new_notebook(cells=[new.new_code_cell(source, metadata={"tags": ["parameters"]})])
    nbformat.write(book, path)
    return path


def test_every_way_to_assign_makes_a_parameter(tmp_path: Path) -> None:
    path = cell(
        tmp_path / "01.ipynb",
        "%matplotlib inline\nfew, many = 10, 100\nx: float = 0.5\n(a, *b) = range(3)\nc = d = None",
    )
    known = parameters(path)
    assert list(known) == ["few", "many", "x", "a", "b", "c", "d"]
    assert [known[name] for name in ("few", "many", "x", "c")] == [10, 100, 0.5, None]
    check_parameters(path, {"few": 3, "many": 7.5, "x": 1, "a": "any", "d": [1]})


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_every_name_of_a_parameters_cell_can_be_set(path: Path) -> None:
    names: dict[str, object] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    names.pop("__builtins__")
    assert parameters(path) == names
    assert set(papermill.inspect_notebook(str(path))) <= set(names)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x: 1e-4", {"x": 1e-4}),
        ("x: 010\ny: 0x10\nz: -3", {"x": 10, "y": 16, "z": -3}),
        ("x: 12:30\ny: yes\nz: 2026-01-02", {"x": "12:30", "y": "yes", "z": "2026-01-02"}),
        ("x: true\ny: ~\nz:", {"x": True, "y": None, "z": None}),
        ("x: .5\ny: 1_000\nz: [a, 1.5]", {"x": 0.5, "y": "1_000", "z": ["a", 1.5]}),
        ("", {}),
        ("# nothing yet\n", {}),
    ],
)
def test_profiles_mean_what_they_say(tmp_path: Path, text: str, values: dict) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "01.full.yaml").write_text(text)
    assert profile_values(tmp_path / "01.ipynb", "full") == values


@pytest.mark.parametrize("value", ["12:30", [1], True, None])
def test_a_value_of_another_kind_is_refused(tmp_path: Path, value: object) -> None:
    path = cell(tmp_path / "01.ipynb", "n = 3")
    with pytest.raises(NotebookError, match=r"01: n is a number \(3\), not (a text|a list|a switch|nothing)"):
        check_parameters(path, {"n": value})


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    for text in ("", "{}", "no json", '{"cells": 3}'):
        (tmp_path / "01.ipynb").write_text(text)
        with pytest.raises(NotebookError, match="is no intact notebook"):
            check_parameters(tmp_path / "01.ipynb", {})


def test_a_notebook_runs_on_this_python_whatever_is_called_python3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text('{"argv": ["false"], "display_name": "another", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = cell(tmp_path / "01.ipynb", "import sys\nprint(sys.executable)")
    run_notebook(path, tmp_path / "out.ipynb")
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert book.cells[0].outputs[0].text.strip() == sys.executable


def test_copies_of_notebooks_of_one_name_do_not_meet(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = executed_copy(checkout / "notebooks" / "01_fine.ipynb")
    assert ours == checkout / "data" / "cache" / "executed" / "01_fine.ipynb"
    others = {executed_copy(checkout / folder / "01_fine.ipynb") for folder in ("a", "b")}
    assert len(others | {ours}) == 3
    monkeypatch.setenv("SCAPRE_OUT", str(checkout / "out"))
    assert executed_copy(checkout / "notebooks" / "01_fine.ipynb").is_relative_to(checkout / "out")
