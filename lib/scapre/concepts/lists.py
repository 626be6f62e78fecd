"""Concept lists: read them, check them, and put them into sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from scapre.paths import data_folder

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


def sentences_of(templates: str) -> tuple[str, ...]:
    """Look a sentence set up.

    Raises:
        ValueError: no such set (the message lists the known ones).
    """
    if templates not in TEMPLATES:
        raise ValueError(f"unknown templates {templates!r}; known: {', '.join(TEMPLATES)}")
    return TEMPLATES[templates]


class ConceptError(ValueError):
    """A list of concepts cannot be used; the message names the concept and the remedy."""


def read_concepts(name: str | Path = "emoji") -> pd.DataFrame:
    """Read a concept file.

    Args:
        name: a file of ``data/concepts`` without its ending (see ``concept_files``), or a path.

    Returns:
        a table whose column ``name`` is the concept; other columns depend on the file.

    Raises:
        ConceptError: no such file, no column ``name``, or no rows.
    """
    path = Path(name) if str(name).endswith(".csv") else data_folder() / "concepts" / f"{name}.csv"
    if not path.is_file():
        raise ConceptError(f"there is no concept file {name!r}; known: {', '.join(concept_files())}")
    table = pd.read_csv(path, keep_default_na=False)
    if "name" not in table or table.empty:
        raise ConceptError(f"{path.name} needs a column 'name' and at least one row")
    return table


def concept_files() -> list[str]:
    """List the names that ``read_concepts`` knows."""
    return sorted(p.stem for p in (data_folder() / "concepts").glob("*.csv"))


def check_concepts(targets: Iterable[str], retained: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Refuse lists that cannot mean what was intended.

    Raises:
        ConceptError: no targets, an empty or repeated name, or a name in both lists.
    """
    if isinstance(targets, str):
        targets = [targets]
    if isinstance(retained, str):
        retained = [retained]
    wanted, kept = [t.strip() for t in targets], [r.strip() for r in retained]
    if not wanted:
        raise ConceptError("the list of targets is empty; name at least one concept to erase")
    for label, names in (("targets", wanted), ("retained", kept)):
        if "" in names:
            raise ConceptError(f"{label} holds an empty name; remove it")
        repeated = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
        if repeated:
            raise ConceptError(f"{label} names {', '.join(repeated)} more than once; remove the repetition")
    both = sorted(set(wanted) & set(kept))
    if both:
        raise ConceptError(f"{', '.join(both)}: both target and retained; keep each in one list")
    return wanted, kept


def spread(anchors: str | Sequence[str], targets: Sequence[str]) -> list[str]:
    """Name one anchor a target.

    Raises:
        ValueError: as many anchors as neither one nor the targets.
    """
    named = [anchors] if isinstance(anchors, str) else list(anchors)
    if len(named) not in (1, len(targets)):
        raise ValueError(f"{len(named)} anchors for {len(targets)} targets; give one, or one for each")
    return named * len(targets) if len(named) == 1 else named


def known(names: Sequence[str], vocabulary: Sequence[str]) -> list[int]:
    """Find names in a vocabulary.

    Returns:
        the place of each name.

    Raises:
        ConceptError: a name is unknown (the message offers near ones).
    """
    place = {name: i for i, name in enumerate(vocabulary)}
    for name in names:
        if name not in place:
            near = get_close_matches(name, list(vocabulary), n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else "; see `scapre.read_concepts`"
            raise ConceptError(f"unknown concept {name!r}{hint}")
    return [place[name] for name in names]
