"""What a run of a notebook read and wrote, with hashes: ``data/manifests/NN_slug.json``, committed."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import nbformat

from scapre.files import PARTIAL, write_text
from scapre.paths import repository

INPUTS = ("lib", "data")  # folders whose files are inputs
SWEEPS = "data/cache/sweeps/"  # results of single cases, kept between runs
OURS = ("lib/scapre/trail.py", "lib/scapre/workbook/kernel.py")  # how it is noted decides no result
NOT_READ = ("README.md",)  # lies beside a model's files

Manifest = dict[str, Any]


def manifest_path(notebook: str, root: Path | None = None) -> Path:
    """Name the manifest of a notebook."""
    return (root or repository()) / "data" / "manifests" / f"{notebook}.json"


def read_manifest(notebook: str, root: Path | None = None) -> Manifest | None:
    """Read the manifest of a notebook; None: it has none."""
    path = manifest_path(notebook, root)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_manifest(
    path: Path, trail: Path, profile: str, parameters: Mapping[str, Any], seconds: float, root: Path | None = None
) -> Path:
    """Write down what a finished run of the notebook at ``path`` read and wrote.

    A run of another profile than the full one reads published tables: what they were measured with is kept from the
    manifest before.

    Args:
        trail: the folder its processes wrote their notes into (``scapre.trail``).
    """
    root = (root or repository()).resolve()
    reads, writes, packages = _notes(trail, root)
    name = path.stem
    own = tuple(f"{folder}/{name}/" for folder in ("figures", "data/results"))
    outputs = sorted({file for file in writes if file.startswith(own) and (root / file).is_file()})
    inputs = sorted(_with_siblings(reads, root) - {file for file in writes if not file.startswith("data/cache/")})
    published = sorted(file for file in reads if file.startswith(own) and not file.endswith("provenance.json"))
    modules = [file for file in inputs if file.startswith("lib/") and file.endswith(".py") and file not in OURS]
    others = [f for f in inputs if f.startswith("data/") and not f.startswith(("data/cache/", "data/results/"))]
    tables = [f for f in inputs if f.startswith("data/results/") and not f.startswith(own)]
    manifest: Manifest = {
        "notebook": name,
        "commit": _commit(root),
        "profile": profile,
        "parameters": dict(parameters),
        "seconds": round(seconds),
        "cells": cells_hash(path),
        "modules": {file: file_hash(root / file) for file in modules},
        "data": {file: file_hash(root / file) for file in others},
        "tables": {file: file_hash(root / file) for file in sorted({*tables, *published})},
        "packages": _versions(packages),
        "lock": file_hash(root / "requirements.lock") if (root / "requirements.lock").is_file() else "",
        "outputs": {file: file_hash(root / file) for file in outputs},
    }
    before = read_manifest(name, root)
    manifest["measured"] = (
        _measured(manifest, reads, writes, root) if profile == "full" else (before or {}).get("measured")
    )
    return write_text(manifest_path(name, root), json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _measured(manifest: Manifest, reads: set[str], writes: set[str], root: Path) -> Manifest:
    """What a full run measured with: its code and packages, and how many cases earlier runs had left."""
    made = {file for file in writes if file.startswith(SWEEPS)}
    kept = {file for file in reads if file.startswith(SWEEPS) and file.endswith(".json")} - made
    named = {case for file in manifest["outputs"] if file.endswith(".csv") for case in _cases(root / file)}
    cases = {"cases": len(named), "from the cache": len(kept), "published before": len(named) - len(kept | made)}
    return {key: manifest[key] for key in ("commit", "modules", "packages")} | cases


def _cases(table: Path) -> set[str]:
    with table.open(encoding="utf-8", newline="") as handle:
        return {row["case"] for row in csv.DictReader(handle) if row.get("case")}


def _notes(trail: Path, root: Path) -> tuple[set[str], set[str], set[str]]:
    """Files read and files written, below the root, and packages; of all processes of a run."""
    found: dict[str, set[str]] = {"r": set(), "w": set(), "p": set()}
    for file in trail.iterdir():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            kind, _, name = line.partition(" ")
            if kind == "p":
                found["p"].add(name)
            elif kind in found and Path(name).is_relative_to(root):
                found[kind].add(Path(name.removesuffix(PARTIAL)).relative_to(root).as_posix())
    return {file for file in found["r"] if file.startswith(INPUTS)}, found["w"], found["p"]


def _with_siblings(reads: set[str], root: Path) -> set[str]:
    """A model's folder is read as a whole: Rust reads its tokenizer unseen."""
    folders = {Path(file).parent for file in reads if file.startswith("data/models/")}
    beside = {p.relative_to(root).as_posix() for folder in folders for p in (root / folder).iterdir() if p.is_file()}
    known = reads | {file for file in beside if Path(file).name not in NOT_READ}
    return {file for file in known if (root / file).is_file()}


def cells_hash(path: Path) -> str:
    """Hash the code cells of a notebook by what they do; prose, comments and outputs do not enter."""
    cells = nbformat.read(path, as_version=4).cells
    return _digest("\0".join(shape(cell.source) for cell in cells if cell.cell_type == "code").encode())


def file_hash(path: Path) -> str:
    """Hash a file: a module by what it does, any other by its bytes."""
    return _hash(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash(path: Path, changed: int) -> str:
    content = path.read_bytes()
    return _digest(shape(content.decode()).encode() if path.suffix == ".py" else content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def shape(source: str) -> str:
    """Write a program without what does not run: comments, layout, docstrings. Constants stay.

    >>> shape("x = 1  # one") == shape("x = (1)"), shape("x = 1") == shape("x = 2")
    (True, False)
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # a cell of magics
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return "".join(_parts(tree))


def _parts(node: Any) -> Iterator[str]:
    """Fields of a syntax tree that say something, the same for every Python that knows them."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value not in (None, []) and not isinstance(value, ast.expr_context):
                yield f" {name}="
                yield from _parts(value)
        yield ")"
    elif isinstance(node, list):
        for part in node:
            yield from _parts(part)
    else:
        yield repr(node)


def _versions(tops: set[str]) -> dict[str, str]:
    """Versions of the distributions that imported packages belong to, without their build's name."""
    known = packages_distributions()
    found = {}
    for name in sorted({distribution for top in tops for distribution in known.get(top, ())} - {"scapre"}):
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # half installed
    return found


def _commit(root: Path) -> str:
    try:
        asked = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
