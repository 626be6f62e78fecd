"""Which notebooks are out of date and why, read off their manifests; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import nbformat

from scapre.mistakes import Mistake
from scapre.paths import repository
from scapre.workbook.manifest import Manifest, cells_hash, file_hash, manifest_path, read_manifest
from scapre.workbook.profiles import profile_values

#: files of a notebook's folders that its run does not write, and what does
ELSEWHERE = {"figures/22_explorer/browser.png": "tests/experiments/test_explorer_browser.py"}
WORDS = {"modules": "code", "data": "data", "tables": "table"}


class TraceError(Mistake, ValueError):
    """Nothing of that name is known; the message names what is."""


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was when a notebook ran."""

    kind: str
    what: str

    def __str__(self) -> str:
        """In a few words."""
        return f"{self.kind} {self.what}"


def changes(path: Path, root: Path | None = None) -> list[Change]:
    """List what has changed since the notebook at ``path`` ran; empty: it is up to date."""
    root = root or repository()
    manifest = read_manifest(path.stem, root)
    if manifest is None:
        return [Change("never", "run with a manifest")]
    found = [] if cells_hash(path) == manifest["cells"] else [Change("cells", path.name)]
    if profile_values(path, manifest["profile"]) != manifest["parameters"]:
        found.append(Change("parameters", f"of the profile {manifest['profile']}"))
    for kind, word in WORDS.items():
        found += [Change(word, file) for file in _moved(manifest[kind], root)]
    found += [Change("package", said) for said in _repinned(manifest["packages"], root)]
    return found + [Change("output", file) for file in _moved(manifest["outputs"], root)]


def measured_otherwise(path: Path, root: Path | None = None) -> list[str] | None:
    """Name the code that changed since a full run measured the notebook's tables; None: no full run is written down."""
    root = root or repository()
    measured = (read_manifest(path.stem, root) or {}).get("measured")
    return None if measured is None else _moved(measured["modules"], root) + _repinned(measured["packages"], root)


def _moved(hashes: dict[str, str], root: Path) -> list[str]:
    return [file for file, old in hashes.items() if not (root / file).is_file() or file_hash(root / file) != old]


def _repinned(packages: dict[str, str], root: Path) -> list[str]:
    """Packages that the lock file now wants in another version than the notebook ran with."""
    lock = root / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").split() if lock.is_file() else []
    pins = {_plain(line): line.partition("==")[2] for line in lines}
    wanted = ((name, pins.get(_plain(name), version), version) for name, version in packages.items())
    return [f"{name} {new}, was {old}" for name, new, old in wanted if new != old]


def _plain(line: str) -> str:
    return re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower()


def parents(path: Path, root: Path | None = None) -> list[str]:
    """Name the notebooks whose tables this one read."""
    tables = (read_manifest(path.stem, root) or {}).get("tables", {})
    return sorted({Path(file).parent.name for file in tables} - {path.stem})


def in_order(paths: Sequence[Path], root: Path | None = None) -> Iterator[list[Path]]:
    """Group notebooks so that each comes after those whose tables it reads."""
    known = {path.stem: path for path in paths}
    sorter = TopologicalSorter({path.stem: set(parents(path, root)) & known.keys() for path in paths})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield sorted(known[name] for name in ready)
        sorter.done(*ready)


def out_of_date(paths: Sequence[Path], root: Path | None = None) -> dict[Path, list[Change]]:
    """The notebooks to run, in order: what changed, or whose tables will be new."""
    found: dict[Path, list[Change]] = {}
    for wave in in_order(paths, root):
        for path in wave:
            waits = [Change("waits for", name) for name in parents(path, root) if name in {p.stem for p in found}]
            if every := changes(path, root) + waits:
                found[path] = every
    return found


def verify(paths: Sequence[Path], root: Path | None = None) -> list[str]:
    """Say what of the committed does not belong together: lost or edited results, foreign tables, other cells.

    Changed code is no fault of what is committed: ``scapre status`` names it.
    """
    root = root or repository()
    if not any(manifest_path(path.stem, root).is_file() for path in paths):
        return []  # none has been written down yet
    found = []
    for path in paths:
        manifest = read_manifest(path.stem, root)
        if manifest is None:
            found.append(f"{path.stem} has no manifest; run it: scapre run {path.stem[:2]}")
            continue
        found += [f"{file} is not what {path.stem} wrote" for file in _moved(manifest["outputs"], root)]
        found += [f"{path.stem} was drawn from another {file}" for file in _moved(manifest["tables"], root)]
        if cells_hash(path) != manifest["cells"]:
            found.append(f"{path.name} has other cells than the run that its results are of")
        found += [f"{file} was written by no run of {path.stem}" for file in _orphans(path.stem, manifest, root)]
    return found


def _orphans(name: str, manifest: Manifest, root: Path) -> list[str]:
    folders = (root / "figures" / name, root / "data" / "results" / name)
    files = [p.relative_to(root).as_posix() for folder in folders for p in sorted(folder.glob("*")) if p.is_file()]
    known = {*manifest["outputs"], *manifest["tables"], *ELSEWHERE}  # a quick run reads what a full one measured
    return [file for file in files if file not in known]


def owner(name: str, paths: Sequence[Path], root: Path | None = None) -> tuple[Path, str]:
    """Find whose a figure, a table or a notebook's name is: the notebook, and the file (empty: the whole notebook).

    Raises:
        TraceError: nothing or several things are named so.
    """
    root = root or repository()
    wanted = name.removesuffix(".ipynb").removeprefix("./")
    books = [path for path in paths if wanted in (path.stem, path.stem[:2])]
    if books:
        return books[0], ""
    matches = []
    for path in paths:
        for file in (read_manifest(path.stem, root) or {}).get("outputs", {}):
            plain = file.rpartition(".")[0]
            if any(end == wanted or end.endswith(f"/{wanted}") for end in (file, plain)):
                matches.append((path, file))
    figures = [match for match in matches if match[1].startswith("figures/")]
    matches = figures if len(figures) == 1 else matches  # a table of its name can be named with its ending
    if len(matches) != 1:
        said = ", ".join(file for _, file in matches)
        raise TraceError(f"{'several things are' if matches else 'nothing is'} named {name!r}{said and ': '}{said}")
    return matches[0]


def making_cell(path: Path, file: str) -> tuple[int, str]:
    """Number and id of the code cell that writes an output; (0, ""): it is not spelt out there."""
    number, name = 0, Path(file).stem
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            number += 1
            if re.search(rf"""(?:book\.\w+|results)\([^#]*["']{re.escape(name)}["']""", cell.source):
                return number, str(cell.get("id", ""))
    return 0, ""


def chain(path: Path, file: str, paths: Sequence[Path], root: Path | None = None, depth: int = 0) -> Iterator[str]:
    """Tell where an output comes from, a line a step: cell, tables, what changed; then the notebooks before it."""
    pad, manifest = "  " * depth, read_manifest(path.stem, root)
    if file:
        number, _ = making_cell(path, file)
        yield f"{pad}{file} ← cell {number or '?'} of {path.stem}"
    else:
        yield f"{pad}{path.stem}"
    if manifest is None:
        yield f"{pad}  never run with a manifest; run it: scapre run {path.stem[:2]}"
        return
    yield f"{pad}  run at {manifest['commit'] or 'no commit'} with the profile {manifest['profile']}, {_size(manifest)}"
    every = changes(path, root)
    yield from (f"{pad}  CHANGED {change}" for change in every)
    if not every:
        yield f"{pad}  nothing has changed since"
    otherwise = measured_otherwise(path, root)
    if otherwise:
        yield f"{pad}  its tables were measured at {manifest['measured']['commit']} with other {', '.join(otherwise)}"
    known = {p.stem: p for p in paths}
    for table in manifest["tables"]:
        home = Path(table).parent.name
        if home in known and home != path.stem:
            yield from chain(known[home], table, paths, root, depth + 1)
        else:
            yield f"{pad}  ← {table}, {'measured by its full profile' if home == path.stem else 'made by a command'}"


def _size(manifest: dict[str, Any]) -> str:
    return f"{len(manifest['modules'])} modules, {len(manifest['data'])} data files, {len(manifest['tables'])} tables"
