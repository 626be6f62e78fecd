"""Text into cells: which sign separates them, what is a header, and what is a list of lines."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence

log = logging.getLogger(__name__)

DELIMITERS = (",", "\t", ";", "|")
LONGEST = 1 << 20  # characters of a cell
#: words that a header is made of, and no list begins with
HEADER_WORD = re.compile(
    "prompts?|captions?|text|sentences?|description|instruction|query|seeds?|guidance|id|idx|index|"
    "(label|class|category|concept|artist|name)s?|classes|categories"
)
#: what may stand above a header: notes, and Excel's word on the separator
ABOVE = re.compile(r"\s*(#\s|//|sep=.\s*$)")
#: signs that people set in front of every line of a list
BULLET = re.compile(r"([-*•–]|(\d+)[.)])\s+")
COLUMN, NUMBER = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)+"), re.compile(r"-?\d+(\.\d*)?")
SAMPLE = 50  # lines looked at to tell a table from a list


class TableError(ValueError):
    """A file cannot be read as a table; the message names the row and the remedy."""


def canonical_header(name: str) -> str:
    """Write a column's name as names are compared.

    >>> canonical_header(" Case-Number ")
    'case_number'
    """
    return re.sub(r"[\s\-_]+", "_", name.strip().strip("\"'#").strip().lower())


def cells_of(
    text: str, find: Callable[[Sequence[str]], dict[str, str]], wanted: str, numbers: Sequence[str]
) -> list[dict[str, str]] | None:
    """Read delimited text under a header in which ``wanted`` is found; None: there is no such header.

    Args:
        find: a header → our column to people's.
        numbers: our columns of numbers.

    Raises:
        TableError: quotes without an end, a column twice, or a row with more cells than the header.
    """
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if line.strip() and not ABOVE.match(line)), len(lines))
    text, first = "".join(lines[start:]), "".join(lines[start : start + 1]).strip("\r\n")
    named = [(len(row), d) for d in DELIMITERS for row in [_header(_row(first, d))] if wanted in find(row)]
    if not named:
        return None
    below = lines[start + 1] if start + 1 < len(lines) else ""
    if "---" in below and not below.strip("|:- \t\r\n"):
        raise TableError("it is a table of Markdown; save it as CSV")
    count, delimiter = max(named, key=lambda pair: pair[0])
    records = _records(text, delimiter)
    header = _header(next(records)[0])
    found = find(header)
    if twins := [name for name in found.values() if header.count(name) > 1]:
        raise TableError(f"it has two columns {twins[0]!r}; rename or remove one")
    place = header.index(found[wanted])
    # an unquoted comma can only be the prompt's where every other column holds numbers
    known = {header: ours for ours, header in found.items()}
    joins = all(known.get(name) in numbers for i, name in enumerate(header) if i != place)
    rows, unquoted = [], 0
    for number, (row, raw) in enumerate(records, start=1):
        if len(row) > count and any(row[count:]):
            if not joins:
                raise TableError(
                    f"row {number} has {len(row)} cells under {count} columns; put quotes around a cell that "
                    f"holds {delimiter!r}"
                )
            row, unquoted = _joined(raw, delimiter, place, count), unquoted + 1
        rows.append(dict(zip(header, row + [""] * (count - len(row)), strict=False)))
    if unquoted:
        log.warning("rows with %r that nobody quoted, taken as part of %s: %d", delimiter, header[place], unquoted)
    return rows


def lines_of(text: str, wanted: str, prose: bool, suffix: str) -> list[str]:
    """Read a list of one ``wanted`` a line; a line that is one quoted cell loses its quotes.

    Args:
        prose: lines are sentences, so their commas belong to them; else they are names.
        suffix: of the file; names in a ``.csv`` need a header, or the header would be a name.

    Raises:
        TableError: the first line is a header, or the lines are a table without one, or several names.
    """
    lines = _bare([line.strip() for line in text.splitlines() if line.strip()])
    if lines and (looks_like_header(lines, prose) or (not prose and suffix in (".csv", ".tsv"))):
        raise TableError(
            f"no column is named {wanted!r} (the first line reads {lines[0][:80]!r}); name the right column "
            f"{wanted!r}, or put a line {wanted!r} above a plain list"
        )
    several = [(line, sign) for line in lines for sign in ",;\t|" if not prose and len(_row(line, sign)) > 1]
    if several:
        line, sign = several[0]
        raise TableError(
            f"the line {line[:80]!r} holds {sign!r}; write one {wanted} a line, and put quotes around one that holds it"
        )
    return [_unquoted(line) for line in lines]


def _bare(lines: list[str]) -> list[str]:
    """Leave notes out, and the signs in front where every line has one of a kind; say so."""
    stay = [line for line in lines if not ABOVE.match(line)]
    if len(stay) < len(lines):
        log.warning("%d lines that begin with '#' are passed over", len(lines) - len(stay))
    signs = [BULLET.match(line) for line in stay]
    kinds = {sign and ("1" if sign[2] else sign[1]) for sign in signs}
    if len(stay) < 2 or len(kinds) > 1 or None in kinds:
        return stay
    log.warning("the signs in front of the lines (%s) are left out", signs[0] and signs[0][1])
    return [line[sign.end() :] for line, sign in zip(stay, signs, strict=True) if sign]


def looks_like_header(lines: Sequence[str], prose: bool) -> bool:
    """Tell the head of a table from the first line of a list."""
    some = lines[:SAMPLE]
    for delimiter in DELIMITERS:
        rows = [_row(line, delimiter) for line in some]
        words = [canonical_header(cell).split("_") for cell in rows[0]]
        heads = [
            len(parts) <= 3 and (all(map(HEADER_WORD.fullmatch, parts)) or bool(COLUMN.fullmatch(cell)))
            for parts, cell in zip(words, rows[0], strict=True)
        ]
        some_prompt = len(rows[0]) > 1 and any({"prompt", "prompts", "seed", "caption"} & {*parts} for parts in words)
        some_prompt |= any(parts[-1] in ("prompt", "prompts", "caption", "captions") for parts in words)
        if 2 * sum(heads) >= len(heads) or (some_prompt and max(map(len, words)) <= 3):
            return True
        if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
            continue  # not a table: lines differ
        body = list(zip(*rows[1:], strict=True))
        numbers = any(all(NUMBER.fullmatch(cell) for cell in column) for column in body)
        bare = all(" " not in cell for cell in rows[0]) and any(" " in cell for column in body for cell in column)
        if delimiter != "," or numbers or bare:
            return True
    return prose and len(some) > 2 and " " not in some[0] and all(len(line.split()) > 2 for line in some[1:])


def _header(cells: list[str]) -> list[str]:
    """Tell columns without a name apart: the first is an index, the others are nothing."""
    return [cell or " " * place for place, cell in enumerate(cells)]


def _row(line: str, delimiter: str) -> list[str]:
    """Split one line; quotes that do not end are letters."""
    try:
        return [
            c.strip() for c in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True), [])
        ]
    except csv.Error:
        return [cell.strip() for cell in line.split(delimiter)]


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], str]]:
    r"""Yield rows with the text they came from; ``\"`` is a quote where it occurs."""
    csv.field_size_limit(LONGEST)
    seen: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            seen.append(line)
            yield line

    escape = "\\" if '\\"' in text else None
    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True, escapechar=escape)
    number = 0
    while True:
        seen.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):
                raise TableError(f"row {number}: a cell has more than {LONGEST} characters; cut it short") from error
            raise TableError(f'row {number}: its quotes do not match ({error}); quote a cell as "a ""b"" c"') from error
        if any(cell.strip() for cell in row) or (len(row) > 1 and number):
            yield [cell.strip() for cell in row], "".join(seen)
            number += 1


def _joined(raw: str, delimiter: str, place: int, count: int) -> list[str]:
    """Split a row anew with the surplus left in one cell."""
    cells = raw.strip("\r\n").split(delimiter)
    after = count - place - 1
    end = len(cells) - after
    middle = delimiter.join(cells[place:end])
    return [c.strip() for c in (*cells[:place], _unquoted(middle.strip()), *cells[end:])]


def _unquoted(line: str) -> str:
    """A line that is one quoted cell loses its quotes; every other line stays, commas and all."""
    try:
        cells = next(csv.reader([line], strict=True), [line])
    except csv.Error:
        return line
    return cells[0] if len(cells) == 1 else line
