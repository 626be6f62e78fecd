"""Executed notebooks without what differs between runs."""

from __future__ import annotations

from pathlib import Path

import nbformat

from scapre.files import write_text

WIDGET = "application/vnd.jupyter.widget-view+json"


def drop_widgets(path: Path) -> None:
    """Remove widgets from an executed copy: their numbers are of a kernel that is gone."""
    book = nbformat.read(path, as_version=4)
    book.metadata.pop("widgets", None)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    write_text(path, nbformat.writes(book) + "\n")


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
