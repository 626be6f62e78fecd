"""The exercises that notebooks end with: run as a reader would, their answers held against the tables that come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import yaml

from scapre.files import replacing
from scapre.paths import data_folder, repository
from scapre.workbook.claims import Register
from scapre.workbook.prose import documents, examine
from scapre.workbook.runner import find, run_notebook
from scapre.workbook.stale import making_cell

TABLES = "results/exercises"  # below data/: one folder an exercise


@dataclass(frozen=True)
class Exercise:
    """A change of parameters and the tables that answer it.

    Attributes:
        name: the notebook's number and, where its exercises need a run each, a letter.
        change: parameters and their new values.
        tables: names of the tables the answer reads; the notebook is run as far as it writes them.
    """

    name: str
    change: dict[str, Any]
    tables: tuple[str, ...]

    @property
    def notebook(self) -> Path:
        """The notebook it stands in."""
        return find(self.name[:2])

    @property
    def folder(self) -> str:
        """Its tables' folder, below ``data/``."""
        return f"{TABLES}/{self.name}"


def exercises() -> list[Exercise]:
    """Read ``data/exercises.yaml``."""
    told = yaml.safe_load((data_folder() / "exercises.yaml").read_text(encoding="utf-8"))
    return [Exercise(name, about["change"], tuple(about["tables"])) for name, about in told.items()]


def run_exercise(exercise: Exercise, data: Path) -> list[Path]:
    """Run a notebook with changed parameters as far as the exercise reads its tables, and write those.

    Args:
        data: where the tables go, as below the repository's ``data/``.

    Returns:
        the tables.

    Raises:
        scapre.workbook.profiles.NotebookError: a cell fails, or there is no such parameter.
    """
    path = exercise.notebook
    book = nbformat.read(path, as_version=4)
    code = [i for i, cell in enumerate(book.cells) if cell.cell_type == "code"]
    last = max(making_cell(path, table)[0] for table in exercise.tables)
    book.cells = book.cells[: code[last - 1] + 1]
    written = []
    with TemporaryDirectory() as folder:
        part, out = Path(folder, path.name), Path(folder, "out")
        nbformat.write(book, part)
        run_notebook(part, Path(folder, "executed.ipynb"), exercise.change | {"out_dir": str(out)})
        for table in exercise.tables:
            made = out / "data" / "results" / path.stem / f"{table}.csv"
            with replacing(data / exercise.folder / made.name) as partial:
                partial.write_bytes(made.read_bytes())
            written.append(data / exercise.folder / made.name)
    return written


def wrong_answers(exercise: Exercise, data: Path | None = None, root: Path | None = None) -> list[str]:
    """Say which marks of the notebook's answers are not what the tables of a run say; none told is wrong as well.

    Args:
        data: the folder with the run's tables; the others are read beside the notebooks. None: the committed ones.
        root: the repository.
    """
    root = root or repository()
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in ("claims.yaml", "published"):
            (scratch / name).symlink_to(root / "data" / name)
        (scratch / TABLES).mkdir(parents=True)
        for place in (root / "data" / "results").iterdir():
            if place.name != Path(TABLES).name:
                (scratch / "results" / place.name).symlink_to(place)
        (scratch / exercise.folder).symlink_to((data or root / "data") / exercise.folder)
        register = Register(scratch)
        ours = {n for n, (table, _) in register.expressions.items() if table.startswith(f"{exercise.folder}/")}
        cells = [text for text in documents(root) if text.path.stem == exercise.notebook.stem]
        told = [verdict for cell in cells for verdict in examine(cell, register) if ours.intersection(verdict.names)]
    return [f"{v.written}: {v.fault}" for v in told if v.fault] or (
        [] if told else [f"{exercise.name} is not answered"]
    )


def chosen(names: Sequence[str]) -> list[Exercise]:
    """The exercises of some notebooks, by number; of all without names."""
    numbers = {find(name).stem[:2] for name in names}
    return [exercise for exercise in exercises() if not names or exercise.name[:2] in numbers]
