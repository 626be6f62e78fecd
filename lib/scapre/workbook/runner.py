"""Run notebooks headlessly: papermill, with the mistakes it forgives refused, several side by side."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from scapre.files import replacing, write_text
from scapre.paths import repository
from scapre.pool import scatter
from scapre.trail import FOLDER
from scapre.workbook.kernel import own_kernel
from scapre.workbook.manifest import manifest_path, write_manifest
from scapre.workbook.profiles import NotebookError, check_parameters, profile_values
from scapre.workbook.scrubbing import drop_widgets, scrub

START_TIMEOUT = 60  # seconds a kernel may take to start
CELL_TIMEOUT = 900  # seconds a cell may take at the default parameters
FULL_TIMEOUT = 86_400  # the same in any other profile
START_TRIES = 3
STAGGER = 2.0  # seconds between the starts of neighbours: their kernels then do not race for ports


@dataclass(frozen=True)
class Outcome:
    """How a notebook ended: seconds, and what went wrong (empty: nothing)."""

    name: str
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class _Errand:
    path: Path
    profile: str
    parameters: dict[str, Any]
    pause: float
    update: bool
    timeout: int
    start_timeout: int


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


def run_many(
    paths: Sequence[Path],
    *,
    jobs: int = 1,
    profile: str = "default",
    update: bool = False,
    timeout: int | None = None,
    start_timeout: int = START_TIMEOUT,
) -> Iterator[Outcome]:
    """Execute notebooks, each in a process of its own; one that fails does not stop the others.

    Executed copies go to ``data/cache/executed``. Each process says when it starts. What a notebook of the
    workbook read and wrote is written to its manifest, unless its results go elsewhere.

    Args:
        paths: notebooks.
        jobs: how many at once; the cores are shared out between them.
        profile: ``default``, or the PROFILE of files ``notebooks/profiles/NN_slug.PROFILE.yaml``;
            a notebook without such a file runs at its own defaults.
        update: store the executed copies in place of the notebooks.
        timeout: seconds a cell may take; None: a quarter of an hour by default, a day in a profile.
        start_timeout: seconds a kernel may take to start.

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
        errands.append(_Errand(path, profile, values, STAGGER * i if i < jobs else 0.0, update, limit, start_timeout))
    return (outcome for _, outcome in scatter(_run_one, errands, workers=jobs))


def _run_one(errand: _Errand) -> Outcome:
    time.sleep(errand.pause)
    print(f"{errand.path.stem} …", flush=True)
    start = time.perf_counter()
    output = executed_copy(errand.path)
    with TemporaryDirectory() as trail:
        os.environ[FOLDER] = trail  # of this process alone, which runs one notebook at a time
        try:
            limits = {"timeout": errand.timeout, "start_timeout": errand.start_timeout}
            run_notebook(errand.path, output, errand.parameters, **limits)
        except NotebookError as error:
            return Outcome(errand.path.stem, time.perf_counter() - start, str(error))
        finally:
            del os.environ[FOLDER]
        if errand.update:
            scrub(output)
            write_text(errand.path, output.read_text(encoding="utf-8"))
        seconds = time.perf_counter() - start
        if _keeps_manifest(errand.path) and not errand.parameters.get("out_dir"):
            write_manifest(errand.path, Path(trail), errand.profile, errand.parameters, seconds)
    return Outcome(errand.path.stem, seconds)


def _is_ours(path: Path) -> bool:
    return path.resolve().parent == (repository() / "notebooks").resolve()


def _keeps_manifest(path: Path) -> bool:
    return _is_ours(path) and "SCAPRE_OUT" not in os.environ


def written(path: Path, update: bool) -> list[Path]:
    """List what a run of a notebook writes, whatever its cells write."""
    found = [executed_copy(path), *([path] if update else [])]
    return [*found, manifest_path(path.stem)] if _keeps_manifest(path) else found


def executed_copy(path: Path) -> Path:
    """Name where the executed copy of a notebook goes: below ``$SCAPRE_OUT``, else the repository.

    Notebooks of other folders get a name of their own, so that two of one name do not share a copy.
    """
    root = Path(os.environ.get("SCAPRE_OUT") or repository())
    folder = path.resolve().parent
    mark = "" if _is_ours(path) else f".{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    return root / "data" / "cache" / "executed" / f"{path.stem}{mark}.ipynb"


def run_notebook(
    path: Path,
    output: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: int = CELL_TIMEOUT,
    start_timeout: int = START_TIMEOUT,
) -> float:
    """Execute one notebook and write the executed copy atomically.

    Returns:
        seconds it took.

    Raises:
        NotebookError: an unknown parameter, a cell that fails (the message holds its last line) or
            takes longer than ``timeout`` seconds, a kernel that dies or never starts.
    """
    parameters = dict(parameters or {})
    check_parameters(path, parameters)
    start = time.perf_counter()
    with replacing(output) as partial, own_kernel() as kernel:
        draft = partial.with_name(partial.name + ".ipynb")  # papermill writes no other ending
        try:
            _execute(path, draft, parameters, kernel, timeout, start_timeout)
            drop_widgets(draft)
            draft.replace(partial)
        finally:
            draft.unlink(missing_ok=True)
    return time.perf_counter() - start


def _execute(
    path: Path, output: Path, parameters: Mapping[str, Any], kernel: str, timeout: int, start_timeout: int
) -> None:
    """Run papermill, thrice where a kernel does not come up, and say what went wrong in a sentence."""
    import papermill  # takes seconds, which a misspelt name need not wait for

    for attempt in range(START_TRIES):
        try:
            papermill.execute_notebook(
                str(path),
                str(output),
                dict(parameters),
                kernel_name=kernel,
                language="python",
                start_timeout=start_timeout,
                execution_timeout=timeout,
                progress_bar=False,
                log_output=False,
                extra_arguments=["--log-level=CRITICAL"],  # no notes on plain TCP and on the interrupt at the end
            )
            return
        except papermill.PapermillExecutionError as error:
            raise NotebookError(f"{path.stem}, cell {error.exec_count}: {error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            raise NotebookError(f"{path.stem}: a cell took over {timeout} s; allow more or ask for less") from error
        except DeadKernelError as error:
            raise NotebookError(f"{path.stem}: its kernel died in a cell, out of memory or killed") from error
        except RuntimeError as error:
            # The only other RuntimeError papermill lets through: a kernel that never came up.
            if attempt + 1 == START_TRIES:
                raise NotebookError(
                    f"{path.stem}: the kernel did not start ({error}); allow it more seconds with --start-timeout"
                ) from error
