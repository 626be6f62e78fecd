"""A folder of drawn pictures: what lies in it beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scapre.mistakes import Mistake

RECORD, LIST, SCORES = "generation.json", "prompts.csv", "scores.csv"


class GenerationError(Mistake, RuntimeError):
    """A folder of pictures cannot be continued or judged; the message says why."""


def find_drawn(folder: str | Path) -> Path:
    """Find a folder that ``generation.generate`` made.

    Raises:
        GenerationError: it has no record or no list of prompts.
    """
    for name in (RECORD, LIST):
        if not (Path(folder) / name).is_file():
            raise GenerationError(f"{folder} has no {name}; make it with scapre generate")
    return Path(folder)


def unknown_to(about: str, unknown: Sequence[str], known: int) -> GenerationError:
    """Say which classes a judge does not know."""
    strange = ", ".join(map(repr, unknown[:3]))
    return GenerationError(f"{about} knows its {known} names only, not {strange}; give --judge one that does")
