"""Names of concepts: which are the same one, and which lists of them mean something."""

from __future__ import annotations

import logging
import shlex
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

log = logging.getLogger(__name__)

#: what people set between names; the last are those of Chinese and Japanese keyboards
SEPARATORS = ",;|\n\t，；、"
AS_IN = "write names as in 'dog, \"Paris, France\"'"


class ConceptError(ValueError):
    """A list of concepts cannot be used; the message names the concept and the remedy."""


def tidy(name: str) -> str:
    """Compose accents and leave one blank between words."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def visible(text: str) -> bool:
    """Tell whether anything of a text can be seen: not blanks, marks of direction or bytes of control alone."""
    return any(unicodedata.category(letter) not in ("Zs", "Zl", "Zp", "Cc", "Cf") for letter in text)


def same_name(name: str) -> str:
    """Write a name as CLIP's tokenizer reads it: what it cannot tell apart is one name.

    Upper and lower case, runs of blanks, and accents composed or decomposed are read alike.

    >>> same_name("  Golden\u00a0 Retriever") == same_name("golden retriever")
    True
    """
    return tidy(name).lower()


def as_names(given: Any, what: str) -> list[str]:
    """List names, stripped of blanks around and doubled inside; one string is one name.

    Raises:
        ConceptError: something that is no text, an empty name, or one string that holds several.
    """
    if isinstance(given, str):
        if any(sign in given for sign in SEPARATORS):
            raise ConceptError(f'{what} is one string, {given!r}; give a list of names, as in ["dog", "lemon"]')
        given = [given]
    if hasattr(given, "columns"):  # a table would give the names of its columns
        raise ConceptError(f"{what} is a table; give its column of names, as in table['name']")
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise ConceptError(f"{what} is {type(given).__name__}; give a list of names")
    listed = sorted(given, key=str) if isinstance(given, (set, frozenset)) else list(given)
    for name in listed:
        if not isinstance(name, str):
            raise ConceptError(f"{what} holds {name!r}, which is no text; write names in quotes")
    names = [tidy(name) for name in listed]
    if not all(map(visible, names)):
        raise ConceptError(f"{what} holds an empty name; remove it")
    return names


def check_concepts(
    targets: Iterable[str], retained: Iterable[str] = (), *, same: Callable[[str], Hashable] = same_name
) -> tuple[list[str], list[str]]:
    """Refuse lists that cannot mean what was intended; a kept name that repeats is kept once.

    Args:
        same: names with equal values are one; of a model, ``embeddings.read_alike``.

    Returns:
        targets and names to keep, blanks tidied, each once.

    Raises:
        ConceptError: no targets, an empty name, a target twice, or a name in both lists.
    """
    wanted, kept = as_names(targets, "targets"), as_names(retained, "retained")
    if not wanted:
        raise ConceptError("the list of targets is empty; name at least one concept to erase")
    first: dict[Hashable, str] = {}
    for name in wanted:
        if (twin := first.get(same(name))) is not None:
            said = name if twin == name else f"{twin}, {name}"
            raise ConceptError(f"targets names {said} more than once; remove the repetition")
        first[same(name)] = name
    both = [name for name in kept if same(name) in first]
    if both:
        pairs = dict.fromkeys(n if first[same(n)] == n else f"{first[same(n)]}, {n}" for n in both)
        raise ConceptError(f"{'; '.join(pairs)}: both target and retained; keep each in one list")
    return wanted, once(kept, "retained", same)


def once(names: Iterable[str], what: str, same: Callable[[str], Hashable] = same_name) -> list[str]:
    """Keep each name once, the first spelling, and say how many repeated."""
    first: dict[Hashable, str] = {}
    listed = list(names)
    for name in listed:
        first.setdefault(same(name), name)
    if len(listed) > len(first):
        log.warning("%s: %d repeated names are taken once", what, len(listed) - len(first))
    return list(first.values())


def split_names(text: str) -> list[str]:
    """Split what people type: commas, semicolons, bars or lines between names, quotes around a name that holds one.

    Raises:
        ConceptError: a quote without its end, or brackets and single quotes of a program's list.

    >>> split_names('dog; "Paris, France",lemon')
    ['dog', 'Paris, France', 'lemon']
    """
    reader = shlex.shlex(text.translate(str.maketrans("“”„", '"""')), posix=True)
    reader.whitespace, reader.whitespace_split = SEPARATORS, True
    reader.quotes, reader.escape, reader.commenters = '"', "", ""
    try:
        names = [name for part in reader if (name := part.strip())]
    except ValueError as error:
        raise ConceptError(f"{text!r} has a quote without its end; {AS_IN}") from error
    bracketed = text.strip().startswith(("[", "{")) and text.strip().endswith(("]", "}"))
    if bracketed or any(len(name) > 1 and name[0] == name[-1] == "'" for name in names):
        raise ConceptError(f"{text!r} is a list as programs write it; {AS_IN}")
    return names


def known(names: Sequence[str], vocabulary: Sequence[str]) -> list[int]:
    """Find names in a vocabulary.

    Returns:
        the place of each name.

    Raises:
        ConceptError: a name is unknown (the message offers near ones).
    """
    place = {same_name(name): i for i, name in enumerate(vocabulary)}
    for name in names:
        if same_name(name) not in place:
            near = get_close_matches(name, list(vocabulary), n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else "; see `scapre.concepts.read_concepts`"
            raise ConceptError(f"unknown concept {name!r}{hint}")
    return [place[same_name(name)] for name in names]


def spread(anchors: str | Sequence[str], targets: Sequence[str]) -> list[str]:
    """Name one anchor a target, tidied; a blank stays ``" "``.

    Raises:
        ConceptError: an anchor that is no text, or that is its target.
        ValueError: as many anchors as neither one nor the targets.
    """
    named = [anchors] if isinstance(anchors, str) else list(anchors)
    if len(named) not in (1, len(targets)):
        raise ValueError(f"{len(named)} anchors for {len(targets)} targets; give one, or one for each")
    for anchor in named:
        if not isinstance(anchor, str):
            raise ConceptError(f"anchors holds {anchor!r}, which is no text; write names in quotes")
    spoken = [tidy(anchor) or " " for anchor in named] * (len(targets) if len(named) == 1 else 1)
    for target, anchor in zip(targets, spoken, strict=True):
        if same_name(target) == same_name(anchor):
            raise ConceptError(f"{target!r} would be replaced by itself, which changes nothing; name another anchor")
    return spoken
