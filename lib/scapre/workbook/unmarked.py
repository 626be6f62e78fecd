"""Numbers of the prose that look like results and bear no mark."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scapre.workbook.prose import COUNTS, MARK, MEASURED, Document

#: what is no prose, or is tied: front matter, marks, code, formulas, addresses of links, comments
SKIPPED = (
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),
    MARK,
    MEASURED,
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"^(?: {4}|\t)[^\n]*$", re.MULTILINE),
    re.compile(r"`[^`\n]*`"),
    re.compile(r"\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL),
    re.compile(r"\]\([^)]*\)"),
    re.compile(r"<!--.*?-->", re.DOTALL),
    # what no run decides: counts by letter, names with a number, licences, sizes of pictures, intervals' level
    re.compile(r"\b(?:n|λ|η|ρ) = [\d.]+|\b\d+×\d+\b|\b95 % (?:Student |bootstrap )?interval|Intervals are 95 %"),
    re.compile(
        r"\b(?:Stable Diffusion|SD|Python|FLUX|Lumina|EmojiOne|torch|diffusers|transformers)[ .]\d[\w.+]*(?:, \d\.x)*"
    ),
    re.compile(r"\b(?:Apache|CC-BY)-\d\.\d|\barXiv [\d.]+|\b(?:ICLR|CVPR) \d+"),
    # numbers of notebooks
    re.compile(r"\b(?:[Nn]otebooks?|experiments) \d\d(?:(?:–|, | and | to )\d\d)*|\((?:00|[0-3]\d)\)"),
    re.compile(r"^\| \[?\d\d(?:–\d\d)? ", re.MULTILINE),
    re.compile(r"^\d+\. ", re.MULTILINE),
    re.compile(r"\*\*Question\.\*\* .*|\*\*[^*\n]*\?\*\*"),  # asks
)
_WORD = "|".join(COUNTS)
#: in any prose
CERTAIN = re.compile(rf"\d[\d.,]*\s?%|\d+\.\d+|×\s?\d|\b(?:\d+|{_WORD}) (?:times|percent|points)\b", re.IGNORECASE)
#: where results are told: any number, fractions and durations in words, who leads
TOLD = re.compile(
    rf"{CERTAIN.pattern}|\b\d[\d,]*\b|\b(?:a|one|two|three) (?:third|quarter|fifth|sixth|seventh|tenth)s?\b"
    r"|\b(?:half )?a (?:minute|hour)\b|\b(?:pictures?|one) in \w+"
    r"|\b(?:leads(?! from)|is ahead|stands? level|follows with|in front)\b",
    re.IGNORECASE,
)
TELLING = re.compile(r"## What we learned|\*\*Question")


def unmarked(document: Document) -> Iterator[str]:
    """Name each number without a mark; strictly where results are told: first and last cells, README.

    The rows of the model card's tables are written by ``scapre card`` from its tables, and compared whole elsewhere.
    """
    text = document.text
    strict = TELLING.search(text) or (document.cell is None and document.path.parent.name != "emoji-sd")
    if document.cell is None and not strict:
        text = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    for pattern in SKIPPED:
        text = pattern.sub(lambda m: "\n" * m[0].count("\n") + " ", text)
    for line in text.splitlines():
        if line.startswith("#") or line.lstrip().startswith("**Next"):
            continue
        for found in (TOLD if strict else CERTAIN).finditer(line):
            around = line[max(0, found.start() - 40) : found.end() + 30].strip()
            yield f"{document.place}: {found[0]!r} has no mark, in “{around}”"
