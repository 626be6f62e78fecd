"""The grammar of notebooks, as a function, so that its own failure can be tested."""

from __future__ import annotations

import ast
import json
import re
import statistics
from pathlib import Path

import nbformat

#: the most kilobytes a notebook needs are those of fourteen rows of pictures (21)
CELLS, MEDIAN, LONGEST, KILOBYTES, WORDS_PER_LINE = 25, 8, 16, 920, 4


def complaints(path: Path) -> list[str]:
    """List what is wrong with a notebook; empty is good."""
    book = nbformat.read(path, as_version=4)
    code = [c for c in book.cells if c.cell_type == "code"]
    prose = [c for c in book.cells if c.cell_type == "markdown"]
    found = []
    lengths = [len(c.source.splitlines()) for c in code]
    if len(code) > CELLS:
        found.append(f"{len(code)} code cells")
    if statistics.median(lengths) > MEDIAN or max(lengths) > LONGEST:
        found.append(f"long cells: median {statistics.median(lengths)}, longest {max(lengths)}")
    for cell in code:
        tree = ast.parse(cell.source)
        if any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for n in ast.walk(tree)):
            found.append("defines a function or class")
        if any(o.output_type == "error" for o in cell.outputs):
            found.append("holds an error")
    words = sum(len(c.source.split()) for c in prose)
    if words < WORDS_PER_LINE * sum(lengths):
        found.append(f"{words} words for {sum(lengths)} lines of code")
    if [c.execution_count for c in code] != list(range(1, len(code) + 1)):
        found.append("cells were not executed 1…n")
    tags = [set(c.metadata.get("tags", [])) for c in code]
    if sum("parameters" in t for t in tags) != 1:
        found.append("needs exactly one cell tagged parameters")
    contracts = [c for c, t in zip(code, tags, strict=True) if "nbval-check-output" in t]
    if not contracts or not all(c.outputs for c in contracts):
        found.append("needs a contract cell (nbval-check-output) with stored output")
    loud = [
        c
        for c, t in zip(code, tags, strict=True)
        if c not in contracts and c.outputs and "nbval-ignore-output" not in t
    ]
    if loud:
        found.append(f"{len(loud)} cells with output are neither contract nor tagged nbval-ignore-output")
    if not any(_hands_on(c.source) for c in code):
        found.append("does not hand seed and out_dir to its Workbook")
    if (
        any(k in cell.metadata for cell in book.cells for k in ("papermill", "execution"))
        or "papermill" in book.metadata
    ):
        found.append("holds papermill's timings")
    if book.metadata.kernelspec.name != "python3":
        found.append("kernel is not python3")
    if path.stat().st_size > KILOBYTES * 1000:
        found.append(f"{path.stat().st_size // 1000} KB")
    text = json.dumps([(c.source, [o.get("text", "") for o in c.get("outputs", [])]) for c in book.cells])
    if re.search(r"[\"' (](/home|/root|/tmp|/work|/Users|[A-Z]:\\\\)", text):
        found.append("names an absolute path")
    if any("```" in c.source for c in prose):
        found.append("code fenced inside markdown")
    if not re.match(rf"# {path.stem[:2]} · ", prose[0].source):
        found.append(f"does not open with '# {path.stem[:2]} · claim'")
    if not any("What we learned" in c.source for c in prose):
        found.append("does not say what we learned")
    return found


def _hands_on(source: str) -> bool:
    """Whether a cell makes the workbook with the seed and the place it was given."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and ast.unparse(n.func) == "Workbook"]
    given = [{k.arg: ast.unparse(k.value) for k in call.keywords} for call in calls]
    return any(g.get("seed") == "seed" and g.get("out_dir") == "out_dir" for g in given)
