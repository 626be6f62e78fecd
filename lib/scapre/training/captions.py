"""Captions of the emoji: many sentences, aliases, with and without the style.

The object word stands early, late and in the middle, so neither a position nor a
single token can stand in for the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

PLAIN = (
    "a picture of a {c}",
    "an image of a {c}",
    "a photo of a {c}",
    "a drawing of a {c}",
    "{c}",
    "a {c}",
    "an emoji of a {c}",
    "a small {c} on white",
    "this is a {c}",
    "one {c} and nothing else",
    "here you see a {c}",
    "the {c} is in the middle",
)
STYLED = (
    "a picture of a {c} in {s} style",
    "an image of a {c} in {s} style",
    "a drawing of a {c}, {s} style",
    "a {s} style {c}",
    "{c} in {s} style",
    "{c}, {s} style",
    "in {s} style, a {c}",
    "{s} style picture of a {c}",
    "{s} style emoji of a {c}",
    "the {c} is drawn in {s} style",
    "an artwork in {s} style showing a {c}",
    "{s} drawing of one {c} on white",
)


@dataclass(frozen=True)
class Vocabulary:
    """The names (and aliases) of every concept and the names of the styles."""

    concepts: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...]

    def caption(self, concept: int, style: int | None, generator: torch.Generator, alias: float = 0.3) -> str:
        """Draw one sentence about a concept, by alias with chance ``alias``."""

        def pick(number: int) -> int:
            return int(torch.randint(number, (), generator=generator))

        name, *others = self.concepts[concept]
        if others and torch.rand((), generator=generator) < alias:
            name = others[pick(len(others))]
        if style is None:
            return PLAIN[pick(len(PLAIN))].format(c=name)
        return STYLED[pick(len(STYLED))].format(c=name, s=self.styles[style])

    def corpus(self) -> list[str]:
        """Every name in every sentence: what the tokenizer learns its vocabulary from."""
        names = [n for group in self.concepts for n in group]
        plain = [t.format(c=n) for t in PLAIN for n in names]
        return plain + [t.format(c=n, s=s) for t in STYLED for n in names for s in self.styles]
