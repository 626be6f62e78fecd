"""Tables as people bring them: the one reader of prompt lists and concept lists.

A table is CSV (or tabs, semicolons, bars) under a header, JSON, JSON lines, parquet, or plain lines.
Every cell is text: ``007`` stays ``007``, and ``NA`` is a name.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scapre.concepts.delimited import COLUMN, TableError, canonical_header, cells_of, lines_of

log = logging.getLogger(__name__)

SHOWN = 8  # columns or rows named in a message
#: how files begin that hold no table
FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x1f\x8b": "a compressed file",
    b"%PDF": "a PDF",
    b"<!DOCTYPE": "a web page, not the file",
    b"<!doctype": "a web page, not the file",
    b"<html": "a web page, not the file",
    b"version https://git-lfs": "a pointer of git-lfs, not the file",
}
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Columns:
    """What a table may hold.

    Attributes:
        names: our column → names people give it, the first found is used; case, spaces and hyphens do not count.
        wanted: the column without which a file is a list of one ``wanted`` a line.
        numbers: columns of numbers. Where all others of a file are numbers, an unquoted comma belongs to ``wanted``.
        prose: ``wanted`` is a sentence, not a name.
        rest: keep the columns that are not named here.
    """

    names: Mapping[str, Sequence[str]]
    wanted: str
    numbers: Sequence[str] = ()
    prose: bool = True
    rest: bool = False

    def find(self, headers: Sequence[str]) -> dict[str, str]:
        """Name people's column for each of ours that is there; one like ``adv_prompt`` will do for ``prompt``."""
        plain = {header: canonical_header(header) for header in headers}
        found: dict[str, str] = {}
        for ours, names in self.names.items():
            places = [header for name in names for header in headers if plain[header] == name]
            found |= {ours: places[0]} if places else {}
        alike = [h for h in headers if COLUMN.fullmatch(h) and self.wanted in plain[h].split("_")]
        alike = [h for h in alike if len(headers) > 1 and "negative" not in plain[h]]
        return found if self.wanted in found or len(alike) != 1 else found | {self.wanted: alike[0]}


def read_table(path: str | Path, columns: Columns) -> pd.DataFrame:
    """Read a table of people.

    Args:
        path: a file, or anything that can be read once (a named pipe).
        columns: what it may hold.

    Returns:
        text columns named as ours, those that were found, ``wanted`` among them; rows in order of the file, blank
        lines left out, rows without ``wanted`` kept empty. The log says which columns are not used.

    Raises:
        TableError: no such file, no text, no column that is ``wanted``, rows that do not fit the header, no rows.
    """
    path = Path(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        raise TableError("it is YAML; save it as CSV, JSON, or one a line in a .txt")
    data = _bytes(path)
    rows = _parquet(data) if data.startswith(b"PAR1") else None
    if rows is None:
        text = _decoded(data)
        rows = _json(text, path.suffix.lower(), columns.wanted)
        if rows is None:
            table = cells_of(text, columns.find, columns.wanted, columns.numbers)
            if table is None:
                lines = lines_of(text, columns.wanted, columns.prose, path.suffix.lower())
                return pd.DataFrame({columns.wanted: lines}, dtype=object)
            rows = table
    return _named(rows, columns, path.name)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise TableError("it is a folder; name a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise TableError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise TableError(f"it cannot be read ({error})") from error


def _decoded(data: bytes) -> str:
    """Decode UTF-8, or what a byte order mark names; line ends inside cells stay."""
    for mark, kind in FOREIGN.items():
        if data.startswith(mark):
            raise TableError(f"it is {kind}; save it as CSV UTF-8")
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TableError(f"it is no UTF-8 text ({error}); save it as CSV UTF-8") from error
    if "\0" in text:
        raise TableError("it is no UTF-8 text (it holds zero bytes); save it as CSV UTF-8")
    return text


def _parquet(data: bytes) -> list[dict[str, Any]]:
    try:
        table = pd.read_parquet(io.BytesIO(data))
    except Exception as error:  # arrow raises what its many parsers raise
        raise TableError(f"it is no intact parquet file ({error})") from error
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict("records")]


def _json(text: str, suffix: str, wanted: str) -> list[dict[str, Any]] | None:
    """Read a list of records or of strings, a dictionary of columns, or a record a line; None: it is no JSON."""
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return None
    try:
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        if start == "{" or suffix in (".json", ".jsonl"):
            raise TableError(f"it is no intact JSON ({error}); write one record a line") from error
        return None  # a prompt may begin with a bracket
    records = next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else None
    if isinstance(records, list) and records and all(isinstance(row, dict) for row in records):
        found = records  # the list lies under a name, as in {"data": [...]}
    if isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        if len({len(v) for v in found.values()}) > 1:
            raise TableError("its columns differ in length; write one record a line")
        found = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    rows = found if isinstance(found, list) else [found]
    rows = [{wanted: row} if isinstance(row, str) else row for row in rows]
    if not all(isinstance(row, dict) for row in rows):
        raise TableError("it is JSON but no list of records; write one record a line")
    return [{str(k): _plain(v) for k, v in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Write a value as text; lists and records stay."""
    if isinstance(value, (dict, list)):
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(rows: list[dict[str, Any]], columns: Columns, file: str) -> pd.DataFrame:
    """Pick our columns from people's and say which are left."""
    filled = dict.fromkeys(header for row in rows for header, cell in row.items() if header.strip() or cell)
    headers = list(filled)
    if not rows:
        return pd.DataFrame({columns.wanted: []}, dtype=object)
    found = columns.find(headers)
    if columns.wanted not in found:
        names = ", ".join(map(repr, headers[:SHOWN]))
        raise TableError(f"no column is named {columns.wanted!r} (there are {names}); name the right one so")
    if canonical_header(found[columns.wanted]) not in columns.names[columns.wanted]:
        log.warning("%s: the column %r is read as the %s", file, found[columns.wanted], columns.wanted)
    if not all(isinstance(row.get(found[columns.wanted], ""), str) for row in rows):
        raise TableError(f"the column {found[columns.wanted]!r} holds lists or records; write one text a row")
    unused = [header for header in headers if header not in found.values() and header.strip()]
    if columns.rest:
        found |= {header: header for header in unused if header not in found}
    elif unused:
        more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        log.warning("%s: columns that are not used: %s%s", file, ", ".join(unused[:SHOWN]), more)
    picked = {ours: [str(row.get(header, "")) for row in rows] for ours, header in found.items()}
    return pd.DataFrame(picked, dtype=object)
