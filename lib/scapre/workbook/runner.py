"""Run notebooks headlessly: papermill, with the mistakes it forgives refused, several side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import yaml
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from scapre.files import write_text
from scapre.mistakes import Mistake
from scapre.paths import repository
from scapre.pool import scatter

CELL_TIMEOUT = 900  # seconds a cell may take at the default parameters
FULL_TIMEOUT = 86_400  # the same in any other profile
START_TRIES = 3
WIDGET = "application/vnd.jupyter.widget-view+json"
STAGGER = 2.0  # seconds between the starts of neighbours: their kernels then do not race for ports


class NotebookError(Mistake, RuntimeError):
    """A notebook cannot run as asked; the message names it and the remedy."""


@dataclass(frozen=True)
class Outcome:
    """How a notebook ended: seconds, and what went wrong (empty: nothing)."""

    name: str
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class _Errand:
    path: Path
    parameters: dict[str, Any]
    pause: float
    update: bool
    timeout: int


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


def profile_values(path: Path, profile: str) -> dict[str, Any]:
    """Read ``profiles/<notebook>.<profile>.yaml`` beside a notebook; without one: no values.

    Raises:
        NotebookError: the file holds anything but ``name: value`` lines.
    """
    chosen = path.parent / "profiles" / f"{path.stem}.{profile}.yaml"
    try:
        values = yaml.safe_load(chosen.read_text()) if chosen.is_file() else {}
    except yaml.YAMLError as error:
        raise NotebookError(f"{chosen.name} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise NotebookError(f"{chosen.name} must hold lines `name: value`, as papermill's parameter files do")
    return values


def run_many(
    paths: Sequence[Path],
    *,
    jobs: int = 1,
    profile: str = "default",
    update: bool = False,
    timeout: int | None = None,
) -> Iterator[Outcome]:
    """Execute notebooks, each in a process of its own; one that fails does not stop the others.

    Executed copies go to ``data/cache/executed``. Each process says when it starts.

    Args:
        paths: notebooks.
        jobs: how many at once; the cores are shared out between them.
        profile: ``default``, or the PROFILE of files ``notebooks/profiles/NN_slug.PROFILE.yaml``;
            a notebook without such a file runs at its own defaults.
        update: store the executed copies in place of the notebooks.
        timeout: seconds a cell may take; None: a quarter of an hour by default, a day in a profile.

    Yields:
        outcomes, as they come.

    Raises:
        NotebookError: no notebook has that profile, or a profile names an unknown parameter.
        scapre.pool.JobError: at the end, when a process died.
    """
    known = {"default"} | {p.stem.partition(".")[2] for path in paths for p in path.parent.glob("profiles/*.yaml")}
    if profile not in known:
        raise NotebookError(f"no notebook has a profile {profile!r}; known: {', '.join(sorted(known))}")
    limit = timeout or (CELL_TIMEOUT if profile == "default" else FULL_TIMEOUT)
    errands = []
    for i, path in enumerate(paths):
        values = profile_values(path, profile)
        check_parameters(path, values)
        errands.append(_Errand(path, values, STAGGER * i if i < jobs else 0.0, update, limit))
    return (outcome for _, outcome in scatter(_run_one, errands, workers=jobs))


def _run_one(errand: _Errand) -> Outcome:
    time.sleep(errand.pause)
    print(f"{errand.path.stem} …", flush=True)
    start = time.perf_counter()
    output = repository() / "data" / "cache" / "executed" / errand.path.name
    try:
        with TemporaryDirectory() as runtime:
            os.environ["JUPYTER_RUNTIME_DIR"] = runtime  # of this process alone: connection files never meet
            run_notebook(errand.path, output, errand.parameters, timeout=errand.timeout)
    except NotebookError as error:
        return Outcome(errand.path.stem, time.perf_counter() - start, str(error))
    if errand.update:
        scrub(output)
        output.replace(errand.path)
    return Outcome(errand.path.stem, time.perf_counter() - start)


def check_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters a notebook does not have; papermill only warns.

    Raises:
        NotebookError: an unknown parameter.
    """
    import papermill  # takes seconds, which a misspelt name need not wait for

    known = papermill.inspect_notebook(str(path))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise NotebookError(f"{path.stem} has no parameter {', '.join(unknown)}; it knows {', '.join(known)}")


def run_notebook(
    path: Path, output: Path, parameters: Mapping[str, Any] | None = None, *, timeout: int = CELL_TIMEOUT
) -> float:
    """Execute one notebook and write the executed copy atomically.

    Returns:
        seconds it took.

    Raises:
        NotebookError: an unknown parameter, a cell that fails (the message holds its last line) or
            takes longer than ``timeout`` seconds, a kernel that dies or never starts.
    """
    import papermill

    parameters = dict(parameters or {})
    check_parameters(path, parameters)
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
                execution_timeout=timeout,
                progress_bar=False,
                log_output=False,
                extra_arguments=["--log-level=CRITICAL"],  # no notes on plain TCP and on the interrupt at the end
            )
            break
        except papermill.PapermillExecutionError as error:
            raise NotebookError(f"{path.stem}, cell {error.exec_count}: {error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            raise NotebookError(f"{path.stem}: a cell took over {timeout} s; allow more or ask for less") from error
        except DeadKernelError as error:
            raise NotebookError(f"{path.stem}: its kernel died in a cell, out of memory or killed") from error
        except RuntimeError as error:
            # The only other RuntimeError papermill lets through: a kernel that never came up.
            if attempt + 1 == START_TRIES:
                raise NotebookError(f"{path.stem}: the kernel did not start ({error})") from error
    partial.replace(output)
    return time.perf_counter() - start


def scrub(path: Path) -> None:
    """Remove what differs between runs: timings, papermill's notes, the injected cell, widgets.

    A stored widget is dead: its numbers are of a kernel that is gone.
    """
    book = nbformat.read(path, as_version=4)
    for key in ("papermill", "widgets"):
        book.metadata.pop(key, None)
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
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr" and WIDGET not in o.get("data", {})]
    book.cells = cells
    write_text(path, nbformat.writes(book) + "\n")
