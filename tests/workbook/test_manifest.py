"""Manifests: what a run read and wrote, and which change makes which notebook out of date."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from scapre.cli import app
from scapre.trail import FOLDER
from scapre.workbook.manifest import read_manifest, shape, write_manifest
from scapre.workbook.runner import notebooks
from scapre.workbook.stale import changes, out_of_date, owner, verify
from typer.testing import CliRunner

TRAILS = {
    "01_a": "r lib/one.py\nr lib/both.py\nr data/list.csv\np pandas\np yaml\nw data/results/01_a/t.csv\n"
    "w figures/01_a/f.png.partial\nr data/cache/sweeps/x.json\nr lib/scapre/trail.py\n",
    "02_b": "r lib/two.py\nr lib/both.py\nr data/results/01_a/t.csv\np pandas\nw figures/02_b/g.png\n",
    "03_c": "r lib/three.py\np jinja2\nr data/results/03_c/p.csv\nw data/results/03_c/p.csv\nw figures/03_c/h.png\n",
}
MODULE = '"""What it does."""\n\nSIZE = 3  # as measured\n\n\ndef size():\n    """The size."""\n    return SIZE\n'
CELLS = {"01_a": "n = 1", "02_b": "n = 2", "03_c": "n = 3"}
FILES = ("data/list.csv", "data/results/01_a/t.csv", "data/results/03_c/p.csv")


def book(path: Path, cells: list[str]) -> None:
    new = nbformat.v4
    first = new.new_code_cell(cells[0], metadata={"tags": ["parameters"]})
    path.parent.mkdir(exist_ok=True, parents=True)
    nbformat.write(new.new_notebook(cells=[first, *map(new.new_code_cell, cells[1:])]), path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three notebooks that ran: 02 reads a table of 01, 03 stands for itself and reads its own published table."""
    (tmp_path / "environment.yml").touch()
    (tmp_path / "requirements.lock").write_text("pandas==3.0.3\nPyYAML==6.0.4\nJinja2==3.1.6\nseaborn==0.13.2\n")
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    monkeypatch.setattr(
        "scapre.workbook.manifest._versions",
        lambda tops: {
            n: v for n, v in (("pandas", "3.0.3"), ("PyYAML", "6.0.4"), ("Jinja2", "3.1.6")) if _top(n) in tops
        },
    )
    for file in ("lib/one.py", "lib/two.py", "lib/three.py", "lib/both.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(MODULE)
    for file in (*FILES, "figures/01_a/f.png", "figures/02_b/g.png", "figures/03_c/h.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"{file}\n1\n")
    for name, notes in TRAILS.items():
        source = f'book.figure(axes, "{name[-1].translate(str.maketrans("abc", "fgh"))}")'
        book(tmp_path / "notebooks" / f"{name}.ipynb", [CELLS[name], source])
        run(tmp_path, name, notes)
    return tmp_path


def _top(name: str) -> str:
    return {"PyYAML": "yaml"}.get(name, name.lower())


def run(root: Path, name: str, notes: str, profile: str = "default", **parameters: object) -> None:
    """Write the manifest of a run that opened these files."""
    trail = root / "trail" / name
    trail.mkdir(parents=True, exist_ok=True)
    lines = (
        f"{k} {root / file if '/' in file else file}" for k, _, file in (n.partition(" ") for n in notes.splitlines())
    )
    (trail / "1").write_text("\n".join(lines))
    write_manifest(root / "notebooks" / f"{name}.ipynb", trail, profile, parameters, 1.0, root)


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def late(root: Path) -> dict[str, str]:
    return {path.stem: "; ".join(map(str, why)) for path, why in out_of_date(notebooks(), root).items()}


def test_a_manifest_says_what_was_read_and_written(root: Path) -> None:
    found = read_manifest("01_a", root) or {}
    assert list(found["modules"]) == ["lib/both.py", "lib/one.py"]  # how it is noted is no input
    assert list(found["data"]) == ["data/list.csv"]
    assert list(found["outputs"]) == ["data/results/01_a/t.csv", "figures/01_a/f.png"]
    assert found["packages"] == {"PyYAML": "6.0.4", "pandas": "3.0.3"}
    assert list((read_manifest("02_b", root) or {})["tables"]) == ["data/results/01_a/t.csv"]
    assert list((read_manifest("03_c", root) or {})["tables"]) == ["data/results/03_c/p.csv"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edit("lib/one.py", "return SIZE", "return SIZE + 1"), {"01_a": "code lib/one.py", "02_b": "waits for 01_a"}),
        (edit("lib/one.py", "SIZE = 3", "SIZE = 4"), {"01_a": "code lib/one.py", "02_b": "waits for 01_a"}),
        (edit("lib/two.py", "return SIZE", "return 3"), {"02_b": "code lib/two.py"}),
        (edit("lib/three.py", "SIZE = 3", "SIZE = 3.0"), {"03_c": "code lib/three.py"}),
        (edit("lib/one.py", "# as measured", "# as guessed, and why"), {}),
        (edit("lib/one.py", "The size.", "The size, in cells."), {}),
        (edit("lib/one.py", "\n\n\ndef", "\n\n# more\n\ndef"), {}),
        (edit("data/list.csv", "1", "2"), {"01_a": "data data/list.csv", "02_b": "waits for 01_a"}),
        (
            edit("data/results/01_a/t.csv", "1", "2"),
            {"01_a": "output data/results/01_a/t.csv", "02_b": "table data/results/01_a/t.csv; waits for 01_a"},
        ),
        (edit("figures/02_b/g.png", "1", "2"), {"02_b": "output figures/02_b/g.png"}),
        (edit("notebooks/02_b.ipynb", "n = 2", "n = 20"), {"02_b": "cells 02_b.ipynb"}),
        (edit("notebooks/02_b.ipynb", "n = 2", "n = 2  # two"), {}),
        (
            edit("requirements.lock", "PyYAML==6.0.4", "PyYAML==6.1"),
            {"01_a": "package PyYAML 6.1, was 6.0.4", "02_b": "waits for 01_a"},
        ),
        (edit("requirements.lock", "Jinja2==3.1.6", "Jinja2==3.2"), {"03_c": "package Jinja2 3.2, was 3.1.6"}),
        (edit("requirements.lock", "seaborn==0.13.2", "seaborn==0.14"), {}),
    ],
)
def test_exactly_the_right_notebooks_are_out_of_date(
    root: Path, change: Callable[[Path], None], expected: dict[str, str]
) -> None:
    assert late(root) == {}
    change(root)
    assert late(root) == expected


def test_a_parameter_of_the_profile_makes_its_notebook_out_of_date(root: Path) -> None:
    folder = root / "notebooks" / "profiles"
    folder.mkdir()
    (folder / "03_c.full.yaml").write_text("n: 4")
    run(root, "03_c", TRAILS["03_c"], "full", n=4)
    assert late(root) == {}
    (folder / "03_c.full.yaml").write_text("n: 5")
    assert late(root) == {"03_c": "parameters of the profile full"}


def test_a_default_run_keeps_what_the_tables_were_measured_with(root: Path) -> None:
    notes = (
        TRAILS["03_c"] + "w data/cache/sweeps/a.json.partial\nr data/cache/sweeps/a.json\nr data/cache/sweeps/b.json\n"
    )
    (root / "notebooks" / "profiles").mkdir()
    (root / "data" / "results" / "03_c" / "p.csv").write_text("n,case\n1,a\n2,b\n3,c\n3,c\n")
    run(root, "03_c", notes, "full")
    measured = (read_manifest("03_c", root) or {})["measured"]
    assert (measured["cases"], measured["from the cache"], measured["published before"]) == (3, 1, 1)
    edit("lib/three.py", "SIZE = 3", "SIZE = 5")(root)
    run(root, "03_c", TRAILS["03_c"])
    assert late(root) == {}
    assert (read_manifest("03_c", root) or {})["measured"] == measured
    said = CliRunner().invoke(app, ["status", "03"]).stdout
    assert "measured with other lib/three.py" in said


def test_status_and_why_tell_the_chain(root: Path) -> None:
    clean = CliRunner().invoke(app, ["status"])
    assert "0 of 3 out of date" in clean.stdout
    edit("lib/one.py", "SIZE = 3", "SIZE = 4")(root)
    said = CliRunner().invoke(app, ["status"]).stdout
    assert "01_a: code lib/one.py\n02_b: waits for 01_a\n03_c: up to date\n2 of 3 out of date" in said
    told = CliRunner().invoke(app, ["why", "02_b/g"]).stdout.splitlines()
    assert told[0] == "figures/02_b/g.png ← cell 2 of 02_b"
    assert "  nothing has changed since" in told
    assert any(line.startswith("  data/results/01_a/t.csv ← cell ? of 01_a") for line in told)
    assert "    CHANGED code lib/one.py" in told
    unknown = CliRunner().invoke(app, ["why", "z"])
    assert unknown.exit_code == 1
    assert "nothing is named 'z'" in unknown.stderr
    assert owner("g", notebooks(), root)[1] == "figures/02_b/g.png"
    assert owner("02", notebooks(), root) == (root / "notebooks" / "02_b.ipynb", "")


def test_verify_names_what_does_not_belong_together(root: Path) -> None:
    assert verify(notebooks(), root) == []
    assert CliRunner().invoke(app, ["verify"]).stdout == "3 of 3 notebooks have a manifest, 0 faults\n"
    edit("lib/one.py", "SIZE = 3", "SIZE = 4")(root)
    assert verify(notebooks(), root) == []  # out of date is not broken
    edit("data/results/01_a/t.csv", "1", "2")(root)
    (root / "figures" / "03_c" / "h.png").unlink()
    (root / "data" / "results" / "03_c" / "old.csv").write_text("a\n1\n")
    edit("notebooks/03_c.ipynb", "n = 3", "n = 30")(root)
    (root / "data" / "manifests" / "02_b.json").rename(root / "kept.json")
    assert verify(notebooks(), root) == [
        "data/results/01_a/t.csv is not what 01_a wrote",
        "02_b has no manifest; run it: scapre run 02",
        "figures/03_c/h.png is not what 03_c wrote",
        "03_c.ipynb has other cells than the run that its results are of",
        "data/results/03_c/old.csv was written by no run of 03_c",
    ]
    (root / "kept.json").rename(root / "data" / "manifests" / "02_b.json")
    assert "02_b was drawn from another data/results/01_a/t.csv" in verify(notebooks(), root)
    assert CliRunner().invoke(app, ["verify"]).exit_code == 1


def test_what_is_committed_belongs_together() -> None:
    assert verify(notebooks()) == []


def test_shape_sees_what_runs() -> None:
    assert shape(MODULE) == shape("SIZE=3\ndef size(): return SIZE")
    assert shape("x = None") != shape("x = 0") != shape("x = False")
    assert shape("'a'") == shape("")
    assert shape("x = 'a'") != shape("x = 'b'")
    assert shape("%magic") == "%magic"


def test_modules_data_tensors_and_packages_are_noted(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = 1")
    (tmp_path / "list.csv").write_text("a\n1\n")
    (tmp_path / "trail").mkdir()
    code = (
        "import sys; sys.path.insert(0, '.'); from scapre.trail import follow; follow(); follow()\n"
        "import one, yaml, numpy as np\n"
        "from safetensors.numpy import save_file; from safetensors import safe_open\n"
        "save_file({'a': np.zeros(1)}, 'a.safetensors')\n"
        "open('list.csv').read(); open('out.csv', 'w').close()\n"
        "with safe_open('a.safetensors', 'np') as stored: stored.keys()\n"
    )
    for _ in range(2):  # the second time from compiled files
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            check=True,
            env={**os.environ, FOLDER: str(tmp_path / "trail")},
        )
    for file in (tmp_path / "trail").iterdir():
        lines = file.read_text().splitlines()
        here = {line.replace(str(tmp_path) + "/", "") for line in lines if str(tmp_path) in line}
        assert {"r one.py", "r list.csv", "w out.csv", "r a.safetensors"} <= here
        assert {"p yaml", "p numpy"} <= set(lines)
        assert len(lines) == len(set(lines))


@pytest.mark.slow
def test_a_run_writes_a_manifest_and_the_next_runs_what_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    monkeypatch.setattr("scapre.workbook.runner.STAGGER", 0.1)
    (tmp_path / "environment.yml").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "toy_one.py").write_text("SIZE = 3\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "list.csv").write_text("a\n1\n")
    place = f"import os, sys\nos.chdir({str(tmp_path)!r})\nsys.path.insert(0, 'lib')"
    for name in ("01_a", "02_b"):
        (tmp_path / "data" / "results" / name).mkdir(parents=True)
    (tmp_path / "data" / "results" / "01_a" / "t.csv").write_text("a\n0\n")  # of an earlier day
    write = "open('data/results/{0}/t.csv', 'w').write('a\\n%d\\n' % ({1}))"
    book(
        tmp_path / "notebooks" / "01_a.ipynb",
        [
            "seed = 1",
            place,
            f"import toy_one\nopen('data/list.csv').read()\n{write.format('01_a', 'toy_one.SIZE > 2')}",
        ],
    )
    book(
        tmp_path / "notebooks" / "02_b.ipynb",
        ["seed = 1", place, f"open('data/results/01_a/t.csv').read()\n{write.format('02_b', '4')}"],
    )
    first = CliRunner().invoke(app, ["run"])
    assert first.exit_code == 0, first.output
    found = json.loads((tmp_path / "data" / "manifests" / "01_a.json").read_text())
    assert (list(found["modules"]), list(found["data"])) == (["lib/toy_one.py"], ["data/list.csv"])
    assert list(found["outputs"]) == ["data/results/01_a/t.csv"]
    assert "ipykernel" in found["packages"]
    CliRunner().invoke(app, ["run"])  # 02 ran beside 01 and read the older table
    assert "every notebook is up to date" in CliRunner().invoke(app, ["run"]).stdout
    (tmp_path / "lib" / "toy_one.py").write_text("SIZE = 3  # three\n")
    assert "every notebook is up to date" in CliRunner().invoke(app, ["run"]).stdout
    (tmp_path / "lib" / "toy_one.py").write_text("SIZE = 4\n")  # its table comes out the same: 02 need not run
    again = CliRunner().invoke(app, ["run"])
    assert "01_a " in again.stdout
    assert "02_b " not in again.stdout
    assert changes(tmp_path / "notebooks" / "02_b.ipynb", tmp_path) == []
