"""Concept lists: read them, check them, and put them into sentences."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from scapre.concepts.names import ConceptError, once, same_name, tidy, visible
from scapre.concepts.tables import Columns, TableError, read_table
from scapre.paths import data_folder

log = logging.getLogger(__name__)

#: named sentence sets; ``name`` is the bare concept, as in the released code
TEMPLATES: dict[str, tuple[str, ...]] = {
    "name": ("{}",),
    "sentences": ("{}", "a picture of a {}", "an image of a {}", "a drawing of a {}"),
    "styled": (
        "{}",
        "a picture of a {}",
        "a picture of a {} in noto style",
        "a picture of a {} in fluent style",
        "a picture of a {} in flat style",
        "a picture of a {} in ink style",
        "a picture of a {} in twemoji style",
        "a picture of a {} in emojione style",
    ),
}


#: our column → the names public lists give it
COLUMNS = Columns(
    {
        "name": (
            *("name", "names", "concept", "concepts", "target", "targets", "artist", "artists", "class", "classes"),
            *("class_name", "object", "objects", "label", "style", "styles", "word", "words"),
        )
    },
    wanted="name",
    prose=False,
    rest=True,
)


def sentences_of(templates: str) -> tuple[str, ...]:
    """Look a sentence set up.

    Raises:
        ValueError: no such set (the message lists the known ones).
    """
    if templates not in TEMPLATES:
        raise ValueError(f"unknown templates {templates!r}; known: {', '.join(TEMPLATES)}")
    return TEMPLATES[templates]


def read_concepts(name: str | Path = "emoji") -> pd.DataFrame:
    """Read a concept file.

    Args:
        name: a file of ``data/concepts`` without its ending (see ``concept_files``), or a path: a table with a
            column ``name``, ``concept``, ``artist`` or ``class`` (see ``tables.read_table``), or a ``.txt`` of one
            name a line. Rows without a name are left out and repeated names taken once; the log says so.

    Returns:
        a table whose column ``name`` is the concept; other columns depend on the file. Every cell is text.

    Raises:
        ConceptError: no such file, no column of names, or no rows.
    """
    listed = data_folder() / "concepts" / f"{name}.csv"
    path = listed if listed.is_file() else Path(name)
    if not path.exists():
        raise ConceptError(f"there is no concept file {str(name)!r}; known: {', '.join(concept_files())}")
    try:
        table = read_table(path, COLUMNS)
    except TableError as error:
        raise ConceptError(f"{path.name}: {error}") from error
    if path != listed and len(table.columns) > 1:
        log.warning("%s: only the names are used, not %s", path.name, ", ".join(str(c) for c in table if c != "name"))
    table["name"] = table["name"].map(tidy)
    empty = ~table["name"].map(visible)
    if empty.all():
        raise ConceptError(f"{path.name} needs a column 'name' and at least one row")
    if empty.any():
        log.warning("%s: %d rows without a name are passed over", path.name, empty.sum())
    once(table["name"][~empty], path.name)
    again = table["name"].map(same_name).duplicated()
    return table[~(empty | again)].reset_index(drop=True)


def concept_files() -> list[str]:
    """List the names that ``read_concepts`` knows."""
    return sorted(p.stem for p in (data_folder() / "concepts").glob("*.csv"))
