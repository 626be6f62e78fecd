"""Pictures in rows with the judge's words under them. Draws, never computes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from torch import Tensor

from scapre.workbook.figures import BAD, GOOD, INK, WIDTH


def picture_grid(
    images: Tensor,
    columns: int,
    *,
    captions: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    width: float = WIDTH,
) -> Figure:
    """Lay pictures out in rows, with a word under each.

    Args:
        images: uint8 ``(N, H, W, 3)``, row by row.
        columns: pictures a row.
        captions: N words, or None.
        colours: N colours of the words.
        row_names: names left of the rows.
        column_names: names above the columns.
    """
    rows = -(-len(images) // columns)
    cell = width / (columns + (1.2 if row_names else 0))
    extra = 0.24 if captions else 0.0
    fig, axes = plt.subplots(
        rows, columns, figsize=(width, rows * (cell + extra) + 0.4), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        ax.grid(False)
    for i, image in enumerate(images):
        ax = axes.flat[i]
        ax.imshow(image.numpy(), interpolation="nearest")
        if captions:
            ax.set_xlabel(captions[i], color=colours[i] if colours else INK, fontsize=8, labelpad=2)
        if column_names and i < columns:
            ax.set_title(column_names[i], fontsize=9)
        if row_names and i % columns == 0:
            ax.set_ylabel(row_names[i // columns], rotation=0, ha="right", va="center", fontsize=9)
    return fig


def verdict_colours(right: Sequence[bool], wanted: Sequence[bool]) -> list[str]:
    """Green where the verdict is what we want, red where it is not."""
    return [GOOD if bool(r) == bool(w) else BAD for r, w in zip(right, wanted, strict=True)]


def before_and_after(
    drawn: tuple[Tensor, Tensor], judged: tuple[pd.DataFrame, pd.DataFrame], targets: Sequence[str]
) -> Figure:
    """Lay the pictures of one plan out twice: left before an edit, right after it.

    Args:
        drawn: uint8 ``(N, H, W, 3)`` before and after, concept by concept, style fastest.
        judged: the tables of ``evaluation.assess`` for both.
        targets: concepts whose right name is wanted on the left only.
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
    )
