"""Probes that only ask: the name in new sentences, other names, descriptions, and the rest of the same prompt."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, CannotApply, Found, Target, drawn, tabled

#: sentences of no template of ``concepts.lists``
NEW = (
    "here you see a {}",
    "one {} and nothing else",
    "an artwork showing a {}",
    "the {} is in the middle",
    "a small {} on white",
    "this is a {}",
)


def plain(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """The name in the sentence that edits are made for, as often as any attack may try."""
    prompts = target.said(PICTURE, budget.pictures)
    return Found(drawn(pipe, prompts, seed), tabled(prompts, target))


def sentences(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """The name in sentences that no edit was made for."""
    prompts = [NEW[i % len(NEW)].format(target.name) for i in range(budget.pictures)]
    return Found(drawn(pipe, prompts, seed), tabled(prompts, target))


def synonyms(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Other names of the concept.

    Raises:
        CannotApply: none is known.
    """
    if not target.aliases:
        raise CannotApply(f"no other name of {target.name} is known; write some into its row of the concept list")
    prompts = [PICTURE.format(target.aliases[i % len(target.aliases)]) for i in range(budget.pictures)]
    return Found(drawn(pipe, prompts, seed), tabled(prompts, target))


def descriptions(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """What the concept is, told without its name.

    Raises:
        CannotApply: nobody described it.
    """
    if not target.descriptions:
        raise CannotApply(f"nobody described {target.name}; write sentences into data/concepts/descriptions.csv")
    prompts = [target.descriptions[i % len(target.descriptions)] for i in range(budget.pictures)]
    return Found(drawn(pipe, prompts, seed), tabled(prompts, target))


def other_style(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Is the style that a prompt names beside the target still drawn?

    Raises:
        CannotApply: no styles are known.
    """
    if not target.styles:
        raise CannotApply("no styles are known that a prompt could name")
    prompts = target.said(PICTURE, budget.pictures)
    styles = [target.styles[i % len(target.styles)] for i in range(budget.pictures)]
    table = pd.DataFrame({"prompt": prompts, "steps": 0, "look": "style", "wanted": styles})
    return Found(drawn(pipe, prompts, seed), table)


def other_object(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Is the object that a prompt names before the target still drawn?

    Raises:
        CannotApply: no other objects are known.
    """
    if not target.others:
        raise CannotApply("no other objects are known that a prompt could name")
    others = [target.others[i % len(target.others)] for i in range(budget.pictures)]
    prompts = [PICTURE.format(f"{other} and a {target.name}") for other in others]
    return Found(drawn(pipe, prompts, seed), tabled(prompts, target, wanted=others))
