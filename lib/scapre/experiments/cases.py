"""The experiments of the workbook as lists of cases: what is erased, kept and drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.concepts.lists import read_concepts
from scapre.experiments.case import UNEDITED, Case
from scapre.methods.registry import find_method
from scapre.model.backbones import load_pipeline
from scapre.paths import data_folder
from scapre.pictures.evaluation import PROMPT, plan, plan_sides, thin
from scapre.text.vocabulary import words_of

#: settings of a method: as published (our defaults), as its authors change them for many concepts, or the best of
#: a sweep on the validation concepts
PUBLISHED, MANY, VALIDATED = "published", "published for many", "validated"
#: the validated settings, and the text encoder's own words to keep as well, which is how ours is used
WORDS = "validated, vocabulary kept"
#: the best of a sweep in a crowd with those words kept, which is how ours was chosen and is used; the best of those
#: that edit as many blocks of the text encoder as published
CROWD, CROWD_WHOLE = "in a crowd, vocabulary kept", "in a crowd, all blocks, vocabulary kept"
CHOSEN_IN_CROWD = (CROWD, CROWD_WHOLE)
POINTS = (PUBLISHED, MANY, VALIDATED, WORDS, *CHOSEN_IN_CROWD)
KEEPING_WORDS = (WORDS, *CHOSEN_IN_CROWD)
BLANK = "blank anchors"
GALLERY_STYLE = "fluent"
HELD = 10  # concepts drawn to see what stays, once named to keep, once not named


def vocabulary() -> tuple[list[str], list[str]]:
    """Split all names into those experiments may use and the validation concepts."""
    validation = read_concepts("validation")["name"].tolist()
    return [n for n in read_concepts("emoji")["name"] if n not in set(validation)], validation


def operating_point(method: str, point: str) -> dict[str, Any]:
    """Settings of a method at an operating point; the unedited model has none.

    Raises:
        ValueError: an unknown point, or a method that the validation sweep does not hold.
        FileNotFoundError: the validation sweep has not been run.
    """
    if point not in POINTS:
        raise ValueError(f"unknown operating point {point!r}; known: {'; '.join(POINTS)}")
    if point == PUBLISHED or method == UNEDITED:
        return {}
    if point == MANY:
        return dict(find_method(method).many)
    name = "crowd_best.csv" if point in CHOSEN_IN_CROWD else "best.csv"
    path = data_folder() / "results" / "09_operating_points" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing; run `scapre run 09 --profile full` first")
    table = pd.read_csv(path)
    best = (table[table["point"] == point] if "point" in table else table).set_index("method")["settings"]
    if method not in best:
        raise ValueError(f"{path.name} has no row for {method}; run `scapre run 09 --profile full` again")
    return json.loads(best[method])


def without_words(method: str, point: str) -> dict[str, Any]:
    """``operating_point`` for an experiment whose kept list takes no further words.

    Raises:
        ValueError: a point that keeps the vocabulary.
    """
    if point in KEEPING_WORDS:
        raise ValueError(f"{point!r} names words to keep, which this experiment does not; take {VALIDATED!r}")
    return operating_point(method, point)


def scaling_cases(
    methods: Sequence[str], counts: Sequence[int], orders: Sequence[int], limit: int, point: str = PUBLISHED
) -> list[Case]:
    """Erase more and more concepts, in several random orders.

    Sides: the targets; ten concepts named to keep, as is everything else; ten bystanders that no list
    names. Validation concepts are never drawn.
    """
    names, validation = vocabulary()
    cases = []
    for order, n in product(orders, counts):
        mixed = np.random.default_rng(order).permutation(names).tolist()
        targets, named, unnamed = mixed[:n], mixed[-2 * HELD : -HELD], mixed[-HELD:]
        if n > len(mixed) - 2 * HELD:
            raise ValueError(f"{n} targets leave none to keep; at most {len(mixed) - 2 * HELD}")
        sides = {"unlearn": targets, "preserve": named, "bystander": unnamed}
        # three runs give a single concept eighteen pictures
        pictures = plan_sides(sides, list(STYLES), [order, order + 50, order + 100][: 3 if n < HELD else 1], limit)
        concepts = [*mixed[n:-HELD], *validation]
        kept = kept_at(point, targets, concepts)
        for method in methods:
            labels = {"method": method, "point": point, "n": n, "order": order}
            settings, options = operating_point(method, point), anchored_at(method, point, concepts)
            cases.append(Case(method, targets, pictures, kept, settings, options, labels))
    return cases


def kept_at(point: str, targets: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Name what is to stay at a point: at ``KEEPING_WORDS`` the encoder's own words too, but for the targets.

    The words are a list that nobody looked through: synonyms of the targets stay on it.
    """
    words = own_words() if point in KEEPING_WORDS else []
    known = {*kept, *targets}
    return [*kept, *(word for word in words if word not in known)]


def anchored_at(method: str, point: str, named: Sequence[str]) -> dict[str, int]:
    """Where a method takes the replacements it matches from: at ``CHOSEN_IN_CROWD`` the first of what is kept, the
    named concepts alone. Among the encoder's words the nearest is mostly a part of the target's own name.
    """
    return {"among": len(named)} if point in CHOSEN_IN_CROWD and find_method(method).matches else {}


@lru_cache(maxsize=1)
def own_words() -> list[str]:
    """The words of emoji-sd's text encoder, which nobody has to list."""
    return words_of(load_pipeline())


def gallery_cases(methods: Sequence[str], n: int, shown: int, order: int, point: str = PUBLISHED) -> list[Case]:
    """Take one case of the scaling curves and draw a few of its targets, named and unnamed concepts, one style each."""
    cases = []
    for case in scaling_cases(methods, [n], [order], 1, point):
        names, _ = vocabulary()
        mixed = np.random.default_rng(order).permutation(names).tolist()
        sides = {"unlearn": mixed[:shown], "preserve": mixed[-2 * HELD :][:shown], "bystander": mixed[-HELD:][:shown]}
        parts = [plan(c, [GALLERY_STYLE], [order]).assign(side=side) for side, c in sides.items()]
        cases.append(replace(case, pictures=pd.concat(parts, ignore_index=True), labels={"n": n}))
    return cases


def capacity_cases(
    methods: Sequence[str], counts: Sequence[int], orders: Sequence[int], point: str = PUBLISHED
) -> list[Case]:
    """Erase phrases "concept in style style", of which there are more than dimensions; no pictures.

    Fifty concepts are named to keep and occur in no target.
    """
    nothing = pd.DataFrame({"prompt": []})
    cases = []
    for order, n in product(orders, counts):
        mixed = np.random.default_rng(order).permutation(vocabulary()[0]).tolist()
        phrases = [f"{c} in {s} style" for c, s in product(mixed[:-50], STYLES)]
        if n > len(phrases):
            raise ValueError(f"there are {len(phrases)} phrases, not {n}")
        targets = np.random.default_rng(order).permutation(phrases)[:n].tolist()
        for method in methods:
            labels = {"method": method, "point": point, "n": n, "order": order}
            settings, options = without_words(method, point), {"templates": "name"}
            cases.append(Case(method, targets, nothing, mixed[-50:], settings, options, labels))
    return cases


def precision_cases(
    methods: Sequence[str], runs: Sequence[int], limit: int, point: str = PUBLISHED, *, named: bool = True
) -> list[Case]:
    """Erase two look-alikes of a group and draw the three of it that must stay.

    Args:
        runs: seeds of the pictures.
        limit: pictures a side, group and run.
        named: whether the three are named to keep; everything outside the group is in either case.
    """
    everything, cases = read_concepts("emoji")["name"], []
    for run, (group, part) in product(runs, read_concepts("confuse").groupby("group", sort=False)):
        roles = {role: rows["name"].tolist() for role, rows in part.groupby("role")}
        pictures = plan_sides({"unlearn": roles["target"], "preserve": roles["keep"]}, list(STYLES), [run], limit)
        spared = set(roles["target"]) | (set() if named else set(roles["keep"]))
        kept = kept_at(point, [*spared], [name for name in everything if name not in spared])
        for method in methods:
            labels = {"method": method, "point": point, "group": group, "named": named, "run": run}
            settings = operating_point(method, point)
            cases.append(Case(method, roles["target"], pictures, kept, settings, labels=labels))
    return cases


def restricted_cases(
    methods: Sequence[str], runs: Sequence[int], limit: int, point: str = PUBLISHED, *, blank: bool = False
) -> list[Case]:
    """Erase the restricted list by name; draw it by name, by synonym, and in sentences the edit never saw.

    ``blank`` gives every method blank anchors, where ours would take the nearest kept concepts.
    """
    table = read_concepts("emoji").set_index("name")["aliases"]
    names, targets = vocabulary()[0], read_concepts("restricted")["name"].tolist()
    synonyms = [(name, other) for name in targets for other in table[name].split("|") if other]
    kept = kept_at(point, targets, [name for name in table.index if name not in targets])
    cases = []
    for run in runs:
        others = np.random.default_rng(run).permutation([n for n in names if n not in targets])[:20].tolist()
        parts = [plan_sides({"unlearn": targets, "preserve": others}, list(STYLES), [run], limit)]
        for side, form in (("synonym", PROMPT), ("indirect", INDIRECT)):
            spoken = plan([other for _, other in synonyms], list(STYLES), [run], form)
            spoken["concept"] = spoken["concept"].map({other: name for name, other in synonyms})
            parts.append(thin(spoken, limit).assign(side=f"unlearn_{side}"))
        pictures = pd.concat(parts, ignore_index=True)
        for method in methods:
            labels = {"method": method, "point": BLANK if blank else point, "run": run}
            settings, options = operating_point(method, point), {"anchors": " "} if blank else {}
            cases.append(Case(method, targets, pictures, kept, settings, options, labels))
    return cases


#: by synonym, in a sentence that no template of an edit has
INDIRECT = "an artwork in {style} style showing a {concept}"
