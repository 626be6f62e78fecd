"""Styles among concepts: which names are some, and how captions say them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from scapre.concepts.lists import read_concepts, sentences_of
from scapre.concepts.names import same_name

FILES = ("styles", "artists50")  # files of names that are styles
WORD = " style"
#: objects a style is shown behind: in a caption it stands behind one, and its features carry the object as well
EXAMPLES = ("crown", "tent", "rabbit", "hospital", "sushi")
FORMS = ("{}", "a picture in {}", "in {}", *(f"a picture of a {name} in {{}}" for name in EXAMPLES))


def styles_of(phrases: Sequence[str]) -> list[str]:
    """Name the styles where every phrase is a known one and the word for it, as in "ink style"; else none."""
    names = [same_name(phrase) for phrase in phrases]
    found = [name.removesuffix(WORD) for name in names if name.endswith(WORD)]
    return found if len(found) == len(names) and _known().keys() >= set(found) else []


def other_styles(styles: Sequence[str], retained: Sequence[str]) -> list[str]:
    """What may replace styles: those that are named to keep; without any, the rest of the lists that hold the styles.

    A blank would not do: a picture without a style is in one of them. An object would not either.
    """
    kept = [style for phrase in retained for style in styles_of([phrase])]
    listed = kept or [other for style in styles for other in _known()[style]]
    return [name for name in dict.fromkeys(listed) if name not in styles]


def in_captions(style: str) -> list[str]:
    """A style as captions say it, alone and behind objects, and all of it once more without the word "style".

    An edit changes a sentence from its last content token on, which is "style" in "ink style".

    >>> in_captions("ink")[:3], in_captions("ink")[-1]
    (['ink style', 'a picture in ink style', 'in ink style'], 'a picture of a sushi in ink')
    """
    said = [form.format(style + WORD) for form in FORMS]
    return said + [phrase.removesuffix(WORD) for phrase in said]


def odd_styles(targets: Sequence[str], retained: Sequence[str], templates: str, nearest: bool) -> list[str]:
    """Say where known styles are given as if they were objects.

    Args:
        nearest: targets are replaced by the nearest of ``retained``.
    """
    styles = [name for name in targets if _said_in(name)]
    if not styles:
        return []
    first, found = _said_in(styles[0]), []
    if len(styles) < len(targets):
        found.append(f"{styles[0]} is a style and others are not; erase styles apart from objects")
    if templates != "name":
        said = sentences_of(templates)[1].format(styles[0])
        found.append(f"{said!r} is no sentence; say '{first}{WORD}' as captions do, with templates 'name'")
    if nearest and retained and not any(map(_said_in, retained)):
        found.append(f"no style is kept, so {styles[0]} turns into an object; keep other styles, or give anchors ' '")
    return found


def _said_in(phrase: str) -> str:
    """The known style that a phrase is or ends with, "ink" in "a crown in ink style"; else nothing."""
    name = same_name(phrase).removesuffix(WORD)
    name = name.rpartition(" in ")[2].removeprefix("in ")
    return name if name in _known() else ""


@lru_cache(maxsize=1)
def _known() -> dict[str, list[str]]:
    """Style → all of its list."""
    lists = [[same_name(name) for name in read_concepts(file)["name"]] for file in FILES]
    return {style: listed for listed in lists for style in listed}
