"""Run notebooks headlessly: papermill, with the mistakes it forgives refused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill

from scapre.paths import repository

CELL_TIMEOUT = 900  # seconds
START_TRIES = 3


class NotebookError(RuntimeError):
    """A notebook cannot run as asked; the message names it and the remedy."""


def notebooks() -> list[Path]:
    """List the workbook's notebooks in order."""
    return sorted((repository() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def find(name: str) -> Path:
    """Find a notebook by number, name or path.

    Raises:
        NotebookError: none or several match.
    """
    if name.endswith(".ipynb") and Path(name).is_file():
        return Path(name)
    matches = [p for p in notebooks() if p.stem == name or p.stem.startswith(f"{name}_")]
    if len(matches) != 1:
        known = ", ".join(p.stem for p in notebooks())
        raise NotebookError(f"{'no notebook' if not matches else 'several notebooks'} named {name!r}; known: {known}")
    return matches[0]


def run_notebook(path: Path, output: Path, parameters: Mapping[str, Any] | None = None) -> float:
    """Execute one notebook and write the executed copy atomically.

    Returns:
        seconds it took.

    Raises:
        NotebookError: an unknown parameter, or a cell that fails (the message holds its last line).
    """
    parameters = dict(parameters or {})
    known = papermill.inspect_notebook(str(path))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise NotebookError(f"{path.stem} has no parameter {', '.join(unknown)}; it knows {', '.join(known)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.stem + ".partial.ipynb")
    start = time.perf_counter()
    for attempt in range(START_TRIES):
        try:
            papermill.execute_notebook(
                str(path),
                str(partial),
                parameters,
                kernel_name="python3",
                execution_timeout=CELL_TIMEOUT,
                progress_bar=False,
                log_output=False,
            )
            break
        except papermill.PapermillExecutionError as error:
            raise NotebookError(f"{path.stem}, cell {error.exec_count}: {error.ename}: {error.evalue}") from error
        except RuntimeError as error:
            # The only RuntimeError papermill lets through is a kernel that died or never came up.
            if attempt + 1 == START_TRIES:
                raise NotebookError(f"{path.stem}: the kernel did not start ({error})") from error
    partial.replace(output)
    return time.perf_counter() - start


def scrub(path: Path) -> None:
    """Remove what differs between runs: timings, papermill's notes, the injected cell."""
    book = nbformat.read(path, as_version=4)
    book.metadata.pop("papermill", None)
    cells = [c for c in book.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    number = 0
    for cell in cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            number += 1
            cell.execution_count = number
            for out in cell.outputs:
                if "execution_count" in out:
                    out.execution_count = number
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    book.cells = cells
    partial = path.with_name(path.name + ".partial")
    nbformat.write(book, partial)
    partial.replace(path)
