"""What helps a reader of the site: figures that say in words what they show, and an index to search in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from bs4 import BeautifulSoup
from PIL import Image

MADE = re.compile(r'book\.figure\(.*?"(\w+)"\s*\)', re.DOTALL)


def message_of(picture: Path) -> str:
    """The message a figure carries in its file (``Workbook.figure``), else its name."""
    with Image.open(picture) as opened:
        return str(opened.info.get("Title", picture.stem))


def describe(body: BeautifulSoup, source: Path, root: Path) -> None:
    """Give every picture without words of its own the message of the figure it shows, as alternative text.

    Args:
        source: the page's file; a notebook's outputs are matched by the ``book.figure`` call of their cell.
    """
    for image in body.find_all("img"):
        address, said = str(image.get("src", "")), str(image.get("alt", ""))
        picture = (source.parent / address).resolve() if "figures/" in address else None
        if address.startswith("data:"):
            calls = next((found for parent in image.parents if (found := MADE.findall(parent.get_text()))), [])
            picture = root / "figures" / source.stem / f"{calls[-1]}.png" if calls else None
        unsaid = " " not in said.strip() or said.startswith("No description")  # a bare name, or nbconvert's excuse
        if picture is not None and picture.is_file() and unsaid:
            image["alt"] = message_of(picture)


def search_index(pages: Mapping[str, tuple[str, BeautifulSoup]]) -> bytes:
    """Write the text of all pages as a script, which a page opened from a disk may load.

    Args:
        pages: path in the site → title and body.
    """
    rows = [
        {"path": path, "title": title, "text": " ".join(body.get_text(" ").split())}
        for path, (title, body) in pages.items()
    ]
    return f"window.PAGES = {json.dumps(rows, ensure_ascii=False)};\n".encode()
