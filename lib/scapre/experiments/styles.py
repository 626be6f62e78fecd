"""Styles erased: how they are said, what replaces them, and what the best edit could reach."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.concepts.lists import read_concepts
from scapre.experiments.case import UNEDITED, Case
from scapre.experiments.cases import PUBLISHED, vocabulary, without_words
from scapre.pictures.evaluation import PROMPT, plan, thin

EXAMPLES = 5  # objects a style is shown behind when it is erased
#: how a style is erased: replaced by a kept one; said without "style" as well, so that its own word is a context
OTHER_STYLE, STYLE_WORD = "another style", "its word alone"
NO_STYLE = "no style"
#: ``scapre.erase(pipe, ["ink style"])``
NOTHING_ELSE = "nothing else named"


def style_cases(
    methods: Sequence[str],
    counts: Sequence[int],
    orders: Sequence[int],
    limit: int,
    point: str = PUBLISHED,
    *,
    other: bool = False,
    word: bool = False,
) -> list[Case]:
    """Erase one to all but one styles; objects must stay in every style.

    A style is named as it stands in captions, alone and behind ``EXAMPLES`` objects that are never drawn;
    to keep are the other styles, said alike, and every object, bare and in a sentence.

    Asked for style s, an edit that leaves the share ε of its wish undone is recognised in about

        (1 − ε) p(s | anchor) + ε p(s | s)

    of its pictures, p(s | x) those of the unedited model asked for x that look like s (``style_reach_cases``). Over all
    styles p(s | blank) is 1/6, as a picture without a style is in one of them; p(s | another style) is what the
    judge confuses. The contexts of "in ink style" begin at "style", its last content token: "ink" itself, which the
    pictures also look at, is none unless a sentence ends in it.

    Args:
        other: replaced by a kept style in the same sentence, each by another one as far as there are; else by a blank.
        word: said in the same sentences without "style" as well, erased and kept styles alike.

    Raises:
        ValueError: a point that keeps the vocabulary (``cases.without_words``).
    """
    (names, validation), cases = vocabulary(), []
    objects = [phrase for name in read_concepts("emoji")["name"] for phrase in (name, f"a picture of a {name}")]
    told = [OTHER_STYLE] * other + [STYLE_WORD] * word
    for order, n in product(orders, counts):
        mixed, pictures = _drawn_styles(names, n, order, limit)
        examples = np.random.default_rng(order).permutation(validation)[:EXAMPLES].tolist()
        targets, kept = (_style_phrases(part, examples, word) for part in (mixed[:n], mixed[n:]))
        instead = _style_phrases([_instead(mixed, n)[style] for style in mixed[:n]], examples, word)
        for method in methods:
            where = ", ".join([point] * (point != PUBLISHED or not told) + told)
            labels = {"method": method, "point": where, "n": n, "order": order}
            options = {"templates": "name", "anchors": instead if other else " "}
            settings = without_words(method, point)
            cases.append(Case(method, targets, pictures, [*kept, *objects], settings, options, labels))
    return cases


def plain_style_cases(counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """The pictures of ``style_cases`` behind the call of someone who names the styles and nothing else.

    ``concepts.styles`` says them as captions do and finds what replaces them and what is to stay.
    """
    cases = []
    for order, n in product(orders, counts):
        mixed, pictures = _drawn_styles(vocabulary()[0], n, order, limit)
        labels = {"method": "staged", "point": NOTHING_ELSE, "n": n, "order": order}
        targets = [f"{style} style" for style in mixed[:n]]
        cases.append(Case("staged", targets, pictures, options={"templates": None}, labels=labels))
    return cases


def style_reach_cases(counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """The pictures of ``style_cases``, drawn unedited from what would replace a style: an edit that meets its wish.

    Asked for in a sentence without a style, as a blank would have it, or in the style that ``style_cases`` takes.
    """
    names, cases = vocabulary()[0], []
    for order, n in product(orders, counts):
        mixed, pictures = _drawn_styles(names, n, order, limit)
        erased = pictures[pictures["side"] == "unlearn"]
        other, pairs = _instead(mixed, n), list(zip(erased["concept"], erased["style"], strict=True))
        asked = {
            NO_STYLE: [f"a picture of a {concept}" for concept, _ in pairs],
            OTHER_STYLE: [PROMPT.format(concept=concept, style=other[style]) for concept, style in pairs],
        }
        for name, prompts in asked.items():
            labels = {"asked": name, "n": n, "order": order}
            cases.append(Case(UNEDITED, [], erased.assign(prompt=prompts), labels=labels))
    return cases


def _instead(mixed: Sequence[str], n: int) -> dict[str, str]:
    """Give each of the ``n`` first styles one of the others, none twice before all are taken."""
    return {style: mixed[n + i % (len(mixed) - n)] for i, style in enumerate(mixed[:n])}


def _drawn_styles(names: Sequence[str], n: int, order: int, limit: int) -> tuple[list[str], pd.DataFrame]:
    """All styles, the ``n`` erased ones first, and pictures of forty objects in erased and in kept styles."""
    mixed = np.random.default_rng(order).permutation(list(STYLES)).tolist()
    shown = np.random.default_rng(order).permutation(names)[:40].tolist()
    sides = {"unlearn": mixed[:n], "preserve": mixed[n:]}
    drawn = [thin(plan(shown, styles, [order]), limit).assign(side=side) for side, styles in sides.items()]
    return mixed, pd.concat(drawn, ignore_index=True)


def _style_phrases(styles: Sequence[str], examples: Sequence[str], word: bool) -> list[str]:
    forms = ("{} style", "a picture in {} style", "in {} style")
    said = [form.format(s) for s in styles for form in forms]
    said += [PROMPT.format(concept=o, style=s) for s in styles for o in examples]
    return said + [phrase.removesuffix(" style") for phrase in said] * word
