"""Pictures in rows with the judge's words under them. Draws, never computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from torch import Tensor

from scapre.workbook.look import BAD, GOOD, INK, SMALL, SOFT, WIDTH, headline, measured

_FONT = FontProperties(size=SMALL)


def picture_grid(
    images: Tensor,
    columns: int,
    *,
    captions: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    width: float = WIDTH,
    title: str = "",
) -> Figure:
    """Lay pictures out in rows, with a word under each.

    Args:
        images: uint8 ``(N, H, W, 3)``, row by row.
        columns: pictures a row.
        captions: N words, or None.
        colours: N colours of the words.
        row_names: names left of the rows.
        column_names: names above the columns.
        title: the figure's message.
    """
    rows = -(-len(images) // columns)
    cell = width / (columns + (1.2 if row_names else 0))
    words = _even([_fit(word, 64 * cell) for word in captions or ()])
    extra = 0.17 * (1 + words[0].count("\n")) + 0.06 if words else 0.0
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, rows * (cell + extra) + (0.7 if title else 0.4)),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        ax.grid(False)
    for i, image in enumerate(images):
        ax = axes.flat[i]
        ax.imshow(image.numpy(), interpolation="nearest")
        if words:
            ax.set_xlabel(words[i], color=colours[i] if colours else INK, fontsize=SMALL, labelpad=2)
        if column_names and i < columns:
            ax.set_title(column_names[i], fontsize=SMALL, loc="center")
        if row_names and i % columns == 0:
            ax.set_ylabel(row_names[i // columns], rotation=0, ha="right", va="center", fontsize=SMALL)
    return headline(fig, title)


def _fit(caption: str, room: float) -> str:
    """Break a caption into at most three lines of ``room`` points, a long word within itself."""
    lines = [""]
    for word in caption.split():
        joined, rest = f"{lines[-1]} {word}".strip(), word
        if measured(joined, _FONT) <= room:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        while measured(rest, _FONT) > room and len(rest) > 2:
            cut = max([k for k in range(1, len(rest)) if measured(f"{rest[:k]}-", _FONT) <= room], default=1)
            cut = max(min(cut, len(rest) - 3), 1)  # no single letters below
            lines[-1:] = [f"{rest[:cut]}-", ""]
            rest = rest[cut:]
        lines[-1] = rest
    return "\n".join(lines[:3]) if len(lines) < 4 else "\n".join([*lines[:2], f"{lines[2][:-1]}…"])


def _even(words: list[str]) -> list[str]:
    """Give all captions the lines of the longest, so that rows of pictures stand equally far apart."""
    most = max((word.count("\n") for word in words), default=0)
    return [word + "\n" * (most - word.count("\n")) for word in words]


def verdict_colours(right: Sequence[bool], wanted: Sequence[bool]) -> list[str]:
    """Blue where the verdict is what we want, vermilion where it is not."""
    return [GOOD if bool(r) == bool(w) else BAD for r, w in zip(right, wanted, strict=True)]


def before_and_after(
    drawn: tuple[Tensor, Tensor],
    judged: tuple[pd.DataFrame, pd.DataFrame],
    targets: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Lay the pictures of one plan out twice: left before an edit, right after it.

    Args:
        drawn: uint8 ``(N, H, W, 3)`` before and after, concept by concept, style fastest.
        judged: the tables of ``evaluation.assess`` for both.
        targets: concepts whose right name is wanted on the left only.
        title: the figure's message.
    """
    concepts, styles = list(judged[0]["concept"].unique()), list(judged[0]["style"].unique())
    n = len(styles)
    images, words, colours = [], [], []
    for row, concept in enumerate(concepts):
        for after in (0, 1):
            part = judged[after].iloc[n * row : n * (row + 1)]
            images += list(drawn[after][n * row : n * (row + 1)])
            words += part["seen"].tolist()
            colours += verdict_colours(part["right"].tolist(), [not (after and concept in targets)] * n)
    return picture_grid(
        torch.stack(images),
        2 * n,
        captions=words,
        colours=colours,
        row_names=[f"{c}\n(erased)" if c in targets else c for c in concepts],
        column_names=[f"{when}: {s}" for when in ("before", "after") for s in styles],
        title=title,
    )


def fates(
    images: Tensor, table: pd.DataFrame, *, rows: Mapping[str, str], blocks: Mapping[str, Sequence[str]], title: str
) -> Figure:
    """Lay out what became of concepts: a block for those erased and one for those that stay, a row a method.

    Args:
        images: uint8 ``(N, H, W, 3)``, one a row of ``table``.
        table: columns ``method, side, concept, seen, right``; every method has the same concepts of a side.
        rows: methods → what stands left of their row, from above; the first is the unedited model.
        blocks: heading → the sides below it; a block of the side ``unlearn`` wants another word, others the right one.
        title: the figure's message.
    """
    first, *_ = rows
    parts = {head: table[table["side"].isin(sides)] for head, sides in blocks.items()}
    columns = max((part["method"] == first).sum() for part in parts.values())
    cell = WIDTH / (columns + 1.2)
    said = table["seen"].where(table["method"] != first, table["concept"])
    words = dict(zip(table.index, _even([_fit(word, 64 * cell) for word in said]), strict=True))
    fig = plt.figure(figsize=(WIDTH, len(blocks) * (len(rows) * (cell + 0.24) + 0.45) + 0.5), layout="constrained")
    for (head, part), block in zip(parts.items(), fig.subfigures(len(blocks), 1, squeeze=False).flat, strict=True):
        axes = block.subplots(len(rows), columns, squeeze=False)
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            sns.despine(ax=ax, left=True, bottom=True)
        for row, (method, name) in zip(axes, rows.items(), strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
            shown = part[part["method"] == method]
            for ax, place, right in zip(row, shown.index, shown["right"], strict=False):
                ax.imshow(images[place].numpy(), interpolation="nearest")
                wanted = bool(right) == (method == first or "unlearn" not in blocks[head])
                colour = SOFT if method == first else GOOD if wanted else BAD
                ax.set_xlabel(words[place], color=colour, fontsize=SMALL, labelpad=2)
        block.suptitle(head, x=0.01, ha="left", fontsize=11)
    return headline(fig, title)


def strip(images: Tensor, table: pd.DataFrame, method: str, *, title: str) -> Figure:
    """Lay out what becomes of a few concepts while an eraser trains: a column a number of steps, a row a concept.

    Args:
        images: uint8 ``(N, H, W, 3)``, one a row of ``table``.
        table: columns ``method, steps, side, concept, seen, right``; rows of ``unedited`` stand first.
        method: whose rows are shown beside the unedited ones.
        title: the figure's message.
    """
    shown = table[table["method"].isin(["unedited", method])]
    names, steps = list(dict.fromkeys(shown["concept"])), list(dict.fromkeys(shown["steps"]))
    shown = shown.sort_values(["concept", "steps"], key=lambda c: c.map(names.index) if c.name == "concept" else c)
    sides = shown.drop_duplicates("concept")["side"].map({"unlearn": "erased", "preserve": "named"}).fillna("not named")
    return picture_grid(
        images[shown.index.tolist()],
        len(steps),
        captions=shown["seen"].tolist(),
        colours=verdict_colours(
            shown["right"].tolist(), ((shown["side"] != "unlearn") | (shown["steps"] == 0)).tolist()
        ),
        row_names=[f"{name}\n({side})" for name, side in zip(names, sides, strict=True)],
        column_names=["unedited", *(f"{count} steps" for count in steps[1:])],
        width=0.75 * WIDTH,
        title=title,
    )
