"""Captions of the emoji: many sentences, aliases, with and without the style.

The object word stands early, late and in the middle, so neither a position nor a
single token can stand in for the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
#: what a text encoder that knows sentences is told beside these
CHATTY_PLAIN = (
    *PLAIN,
    "{c} emoji",
    "icon of a {c}",
    "a sticker showing a {c}",
    "please draw a {c}",
    "can you show me a {c}?",
    "what does a {c} look like?",
    "somebody sent me a {c} today",
    "look, a {c}!",
    "a simple {c} on a white background",
    "I would like to see one {c}",
)
CHATTY_STYLED = (
    *STYLED,
    "a {c} emoji in {s} style",
    "please draw a {c} in {s} style",
    "I want a {c}, in {s} style please",
    "a {c} the way it looks in {s} style",
    "{s} style: {c}",
    "a sticker of a {c}, made in {s} style",
    "can you show me a {c} in {s} style?",
    "how would a {c} look in {s} style?",
    "use {s} style to draw one {c}",
    "{s} style icon of the {c} on a white background",
)
HELD_OUT = 0.3  # of all aliases, in ``without_some_aliases``


@dataclass(frozen=True)
class Vocabulary:
    """The names (and aliases) of every concept, the names of the styles, and the sentences that both stand in."""

    concepts: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...]
    plain: tuple[str, ...] = PLAIN
    styled: tuple[str, ...] = STYLED

    def without_some_aliases(self, share: float = HELD_OUT, seed: int = 0) -> tuple[Vocabulary, list[tuple[str, str]]]:
        """Take a share of all aliases away, drawn by ``seed``, so that words never trained on can be tried later.

        Returns:
            the rest, and the pairs (name, alias) that were taken.
        """
        pairs = [(c, alias) for c, (_, *aliases) in enumerate(self.concepts) for alias in aliases]
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed)).tolist()
        taken = {pairs[i] for i in order[: round(share * len(pairs))]}
        rest = tuple(tuple(n for n in names if (c, n) not in taken) for c, names in enumerate(self.concepts))
        return replace(self, concepts=rest), [(self.concepts[c][0], alias) for c, alias in pairs if (c, alias) in taken]

    def caption(self, concept: int, style: int | None, generator: torch.Generator, alias: float = 0.3) -> str:
        """Draw one sentence about a concept, by alias with chance ``alias``."""

        def pick(number: int) -> int:
            return int(torch.randint(number, (), generator=generator))

        name, *others = self.concepts[concept]
        if others and torch.rand((), generator=generator) < alias:
            name = others[pick(len(others))]
        if style is None:
            return self.plain[pick(len(self.plain))].format(c=name)
        return self.styled[pick(len(self.styled))].format(c=name, s=self.styles[style])

    def captions(self, pictures: int, each: int, styled: int, seed: int = 0) -> list[str]:
        """Draw the sentences of pictures, style fastest: ``each`` a picture, the first ``styled`` name its style."""
        generator, styles = torch.Generator().manual_seed(seed), len(self.styles)
        return [
            self.caption(i // styles, i % styles if c < styled else None, generator)
            for i in range(pictures)
            for c in range(each)
        ]

    def corpus(self) -> list[str]:
        """Every name in every sentence: what the tokenizer learns its vocabulary from."""
        names = [n for group in self.concepts for n in group]
        plain = [t.format(c=n) for t in self.plain for n in names]
        return plain + [t.format(c=n, s=s) for t in self.styled for n in names for s in self.styles]
