"""Where the site says things come from: the page of claims, and the line below a figure."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import yaml

from scapre.workbook.claims import ClaimError, Register
from scapre.workbook.manifest import read_manifest
from scapre.workbook.prose import documents
from scapre.workbook.stale import making_cell

WHOSE = {"paper": "What the paper claims", "ours": "What we found"}
HEAD = "<tr><th>claim</th><th>verdict</th><th>number</th><th>interval</th><th>table</th><th>told in</th></tr>"


def findings(root: Path, register: Register) -> list[dict[str, Any]]:
    """Read ``data/findings.yaml``, each finding with the claims it rests on checked.

    Raises:
        ClaimError: an unknown claim, or a verdict whose claims are not all true any more.
    """
    found = yaml.safe_load((root / "data" / "findings.yaml").read_text(encoding="utf-8"))
    for finding in found:
        for name in finding["because"]:
            if register.value(name) is not True:
                raise ClaimError(f"the verdict on “{finding['says']}” rests on {name}, which is not so any more")
        for name in (finding.get("number"), finding.get("interval")):
            if name and isinstance(register.value(name), bool):
                raise ClaimError(f"{name}, shown with “{finding['says']}”, is no number")
    return found


def claims_page(root: Path) -> str:
    """The page of claims, as HTML: verdict, number, interval, table, and the cell that tells it.

    Raises:
        ClaimError: see ``findings``.
    """
    register = Register(root / "data")
    told = documents(root)
    parts = ["<h1>Claims</h1><p>Each verdict is recomputed from the tables when this page is built.</p>"]
    every = findings(root, register)
    for who, title in WHOSE.items():
        rows = "".join(_row(finding, register, told, root) for finding in every if finding["by"] == who)
        parts.append(f"<h2>{title}</h2><table>{HEAD}{rows}</table>")
    return "".join(parts)


def _row(finding: dict[str, Any], register: Register, told: list[Any], root: Path) -> str:
    names = list(dict.fromkeys([name for name in (finding.get("number"), *finding["because"]) if name]))
    counted = f"{number(register, finding.get('number'))} {escape(finding.get('unit', ''))}".strip()
    interval = number(register, finding.get("interval")).replace(", ", " to ")
    tables = dict.fromkeys(f"data/{register.expressions[name][0]}.csv" for name in names)
    links = ", ".join(f'<a href="{escape(table)}">{escape(Path(table).stem)}</a>' for table in tables)
    cells = [d for d in told if d.cell is not None and _quoted(d.text).intersection(names)]
    places = dict.fromkeys(f'<a href="{_anchor(d.path, d.cell, root)}">{escape(d.place)}</a>' for d in cells)
    said = (escape(finding["says"]), escape(finding["verdict"]), counted, interval, links, "; ".join(places))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in said)}</tr>"


def number(register: Register, name: str | None) -> str:
    """A claim's numbers to three digits; empty without one."""
    value = register.value(name) if name else []
    return "" if isinstance(value, bool) else ", ".join(f"{part:.3g}" for part in value)


def _quoted(text: str) -> set[str]:
    return {name for part in text.split("<!--=")[1:] for name in part.partition("-->")[0].split()}


def _anchor(path: Path, cell: int, root: Path) -> str:
    identity = json.loads(path.read_text(encoding="utf-8"))["cells"][cell].get("id", "")
    inside = path.relative_to(root).as_posix()
    return f"{inside}#cell-id={identity}" if identity else inside


def figure_line(figure: Path, root: Path) -> str:
    """What a figure is made of, as HTML: the cell, its tables, its code; empty: no notebook draws it."""
    name = figure.parent.name
    path, inside = root / "notebooks" / f"{name}.ipynb", figure.relative_to(root).as_posix()
    if not path.is_file():
        return ""
    number, identity = making_cell(path, inside)
    place = f"notebooks/{name}.ipynb" + (f"#cell-id={identity}" if identity else "")
    said = f"cell {number} of {name}" if number else name
    line = f'made by <a href="{place}">{said}</a>'
    manifest = read_manifest(name, root)
    if manifest is None:
        return line
    tables = [file for file in manifest["tables"] if (root / file).is_file()]
    links = ", ".join(f'<a href="{file}">{Path(file).stem}</a>' for file in tables)
    line += f" from {links}" if links else ""
    code = " ".join(f'<a href="{file}">{file.removeprefix("lib/")}</a>' for file in manifest["modules"])
    return f"{line}<details><summary>with this code, at {manifest['commit'] or 'no commit'}</summary>{code}</details>"
