"""Marks in the prose: which text says which claim, whether it is so, and what is said without a mark.

``<!--=name-->97.8<!--/-->`` ties the text between the comments to a claim of ``data/claims.yaml``; several names
follow each other, and the numbers of the text are theirs in order. A statement is a claim without numbers: its text is
free, its value must be true. ``<!--measured: COMMAND, DATE-->7 min<!--/-->`` is for what no table holds. Settings stand
in code or formulas.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scapre.files import claim, write_text
from scapre.paths import repository
from scapre.workbook.claims import ClaimError, Register

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
WORDS += " eighteen nineteen twenty"
COUNTS = {word: number for number, word in enumerate(WORDS.split())}
_WORD = rf"\b(?:{'|'.join(COUNTS)})\b"
NUMBER = re.compile(rf"[-−]?\d+(?:,\d{{3}})*(?:\.\d+)?(?:e[-+]\d+)?|\bnan\b|{_WORD}", re.IGNORECASE)
MARK = re.compile(r"<!--=([^>]*?)-->(.*?)<!--/-->", re.DOTALL)
MEASURED = re.compile(r"<!--measured: [^>]+, \d{4}-\d\d-\d\d-->(.*?)<!--/-->", re.DOTALL)
EDGE = re.compile(r"<!--(?:=[^>]*|measured[^>]*|/)-->")
TABLE_STEP = 0.5e-4  # half of the last digit that tables hold


@dataclass(frozen=True)
class Document:
    """One text that is read: a page, or a markdown cell of a notebook."""

    path: Path
    cell: int | None
    text: str

    @property
    def place(self) -> str:
        """File and cell, as a reader finds them."""
        if self.cell is not None:
            return f"{self.path.stem}, cell {self.cell}"
        return "the model's card" if self.path.parent.name == "emoji-sd" else self.path.name


@dataclass(frozen=True)
class Verdict:
    """What a mark says and whether it is so; ``fault``: what is wrong, empty when nothing is."""

    names: tuple[str, ...]
    place: str
    written: str
    wanted: str
    fault: str = ""


def documents(root: Path | None = None) -> list[Document]:
    """List README, model card and the markdown cells of every notebook."""
    root = root or repository()
    pages = [root / "README.md", root / "data" / "models" / "emoji-sd" / "README.md"]
    found = [Document(path, None, path.read_text(encoding="utf-8")) for path in pages if path.is_file()]
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ((i, "".join(cell["source"])) for i, cell in enumerate(cells) if cell["cell_type"] == "markdown")
        found += [Document(path, i, text) for i, text in texts]
    return found


def examine(document: Document, register: Register) -> Iterator[Verdict]:
    """Compare every mark of a text with its claims, and name marks that are none."""
    text = document.text
    for mark in MARK.finditer(text):
        names, inner = tuple(mark[1].split()), mark[2]
        try:
            wanted = _rewritten(inner, names, register)
            fault = "" if wanted == inner else f"the tables say {wanted}"
        except ClaimError as error:
            wanted, fault = "", str(error)
        yield Verdict(names, document.place, inner, wanted, fault)
    good = sum(1 for pattern in (MARK, MEASURED) for _ in pattern.finditer(text))
    if 2 * good != len(EDGE.findall(text)):
        yield Verdict(
            (), document.place, "", "", "a mark is not closed, or says neither claims nor `measured: COMMAND, DATE`"
        )
    for line in text.splitlines():
        if re.match(r"\s*(?:[-*]\s+|\d+\.\s+|>\s+)?<!--(?:=|measured)", line):
            fault = "a mark opens the line, which ends the paragraph on GitHub; let a word stand before it"
            yield Verdict((), document.place, line[:40], "", fault)


def _rewritten(inner: str, names: Sequence[str], register: Register) -> str:
    """The text with its numbers as the tables have them; as it was where they agree.

    Raises:
        ClaimError: a statement is false, or the text holds another count of numbers.
    """
    values: list[float] = []
    for name in names:
        found = register.value(name)
        if found is False:
            raise ClaimError(f"{name} is not so any more: {register.expressions[name][1]}")
        values += [] if found is True else found
    if not values:
        return inner
    places = list(NUMBER.finditer(inner))
    if len(places) != len(values):
        raise ClaimError(f"{' '.join(names)} has {len(values)} numbers, the text {len(places)}: {inner}")
    for place, value in reversed(list(zip(places, values, strict=True))):
        if not agrees(place[0], value):
            inner = inner[: place.start()] + spell(value, place[0]) + inner[place.end() :]
    return inner


def agrees(written: str, value: float) -> bool:
    """Whether a number is the value rounded to the digits it is written with.

    >>> agrees("97.8", 97.7913), agrees("97.8", 97.86), agrees("nine", 9.2), agrees("−0.07", -0.072)
    (True, False, True, True)
    """
    if written == "nan" or math.isnan(value):
        return written == "nan" and math.isnan(value)
    if written.lower() in COUNTS:
        return abs(COUNTS[written.lower()] - value) <= 0.5
    plain = written.replace("−", "-").replace(",", "")
    mantissa, _, exponent = plain.partition("e")
    step = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(plain) - value) <= 0.5 * step * (1 + 1e-9) + TABLE_STEP


def spell(value: float, like: str) -> str:
    """Write a value as another number is written: its digits, its minus, words for small counts.

    >>> spell(-0.0719, "−0.12"), spell(1523.2, "1,400"), spell(8.2, "nine"), spell(41000.0, "3.9e+04")
    ('−0.07', '1,523', 'eight', '4.1e+04')
    """
    if math.isnan(value):
        return "nan"
    if like.lower() in COUNTS and 0 <= round(value) <= 20:
        word = WORDS.split()[round(value)]
        return word.capitalize() if like[0].isupper() else word
    digits = len(like.partition("e")[0].partition(".")[2])
    kind = "e" if "e+" in like or "e-" in like else "f"
    text = f"{value:{',' if ',' in like else ''}.{digits}{kind}}"
    return text if like.startswith("-") else text.replace("-", "−", 1) if value < 0 else text


def update_prose(register: Register, root: Path | None = None) -> list[Path]:
    """Rewrite the numbers that disagree with the tables, in place; statements are left to people.

    Returns:
        the files that changed.

    Raises:
        scapre.files.WriteError: one of them cannot be written; none is touched then.
    """
    texts = [(document, MARK.sub(lambda mark: _renewed(mark, register), document.text)) for document in documents(root)]
    stale = [(document, text) for document, text in texts if text != document.text]
    changed = list(dict.fromkeys(document.path for document, _ in stale))
    claim(*changed)
    for document, text in stale:
        _store(document, text)
    return changed


def _renewed(mark: re.Match[str], register: Register) -> str:
    try:
        return mark[0].replace(f"-->{mark[2]}<!--", f"-->{_rewritten(mark[2], mark[1].split(), register)}<!--")
    except ClaimError:
        return mark[0]


def _store(document: Document, text: str) -> None:
    if document.cell is None:
        write_text(document.path, text)
        return
    book = json.loads(document.path.read_text(encoding="utf-8"))
    book["cells"][document.cell]["source"] = text.splitlines(keepends=True)
    write_text(document.path, json.dumps(book, indent=1, ensure_ascii=False) + "\n")
