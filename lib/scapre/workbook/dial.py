"""The explorer without a kernel: a page that shows the pictures notebook 22 has drawn in advance."""

from __future__ import annotations

import io
import json
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

RESULTS = Path("data", "results", "22_explorer")
SHEETS = "dial"  # folder of the site that the sheets go to
UNEDITED = "unedited"


def has_dial(root: Path) -> bool:
    """Whether the pictures have been drawn and published."""
    return (root / RESULTS / "dial.parquet").is_file()


def dial_sheets(root: Path) -> dict[str, bytes]:
    """Every list's sheet of pictures, WebP, by its place in the site."""
    table = pd.read_parquet(io.BytesIO((root / RESULTS / "dial.parquet").read_bytes()))
    return {f"{SHEETS}/{number}.webp": bytes(sheet) for number, sheet in enumerate(table["webp"])}


def dial_page(root: Path) -> str:
    """The page, as HTML: what can be chosen, and as JSON what the judge said of each picture of a sheet.

    In a sheet the pictures of a list stand side by side; its rows are first the unedited model's, then method by
    method those of each strength.
    """
    table = pd.read_csv(root / RESULTS / "dial.csv")
    lists = [_told(name, part) for name, part in table.groupby("targets", sort=False)]
    methods = [method for method in table["method"].unique() if method != UNEDITED]
    strengths = sorted(table["strength"].unique().tolist())
    return (
        Environment(autoescape=False)
        .from_string(Path(__file__).with_name("dial.html").read_text(encoding="utf-8"))
        .render(
            lists=[escape(each["name"]) for each in lists],
            methods=[escape(method) for method in methods],
            last=len(strengths) - 1,
            data=json.dumps({"lists": lists, "methods": methods, "strengths": strengths}, ensure_ascii=False),
        )
    )


def _told(name: Any, part: pd.DataFrame) -> dict[str, Any]:
    """What the page knows of a list: its pictures, and row by row of its sheet the words and percentages under them."""
    rows = [row for _, row in part.groupby(["method", "strength"], sort=False)]
    first = rows[0]
    shown = [
        {"concept": concept, "style": style, "erased": side == "unlearn"}
        for concept, style, side in zip(first["concept"], first["style"], first["side"], strict=True)
    ]
    seen = [list(zip(row["seen"], (100 * row["confidence"]).round().astype(int).tolist(), strict=True)) for row in rows]
    return {"name": str(name), "erased": int(first["erased"].iloc[0]), "pictures": shown, "rows": seen}
