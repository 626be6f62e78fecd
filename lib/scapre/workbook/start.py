"""The site's first page, in one screen: what it is, one picture, five findings, how to use it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment
from nbconvert.filters.markdown import markdown2html

from scapre.workbook.claims import Register
from scapre.workbook.dial import has_dial
from scapre.workbook.origins import WHOSE, findings, number


def start_page(root: Path, tour: Path | None) -> str:
    """The first page, as HTML: README's first sentence, picture and code, and the findings marked ``start``.

    Nothing is written for this page alone: a word changed in README or a number in a table changes it.

    Args:
        tour: the notebook to begin with.

    Raises:
        scapre.workbook.claims.ClaimError: see ``origins.findings``.
    """
    readme = BeautifulSoup(markdown2html((root / "README.md").read_text(encoding="utf-8")), "html.parser")
    head, picture, code = readme.find("h1"), readme.find("img"), readme.find("pre")
    lead = head.find_next_sibling("p") if head else None
    five: list[tuple[str, str, str, str]] = []
    if (root / "data" / "findings.yaml").is_file():
        register = Register(root / "data")
        for finding in findings(root, register):
            if finding.get("start"):
                said = (escape(finding["unit"]), WHOSE[finding["by"]], escape(finding["says"]))
                five.append((number(register, finding["number"]), *said))
    return (
        Environment(autoescape=False)
        .from_string(Path(__file__).with_name("start.html").read_text(encoding="utf-8"))
        .render(
            name="".join(head.find_all(string=True, recursive=False)) if head else root.name,
            lead=lead or "",
            picture=picture or "",
            use=code or "",
            five=five,
            dial=has_dial(root),
            tour=tour.resolve().relative_to(root).as_posix() if tour else "",
        )
    )
