from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.colors import to_hex
from scapre.workbook.grids import strip
from scapre.workbook.look import BAD, GOOD


def test_a_strip_has_a_column_a_step_and_wants_targets_gone() -> None:
    rows = [
        ("unedited", 0, "unlearn", "cat", "cat", True),
        ("unedited", 0, "preserve", "dog", "dog", True),
        ("esd", 5, "unlearn", "cat", "cat", True),
        ("esd", 5, "preserve", "dog", "sun", False),
        ("mace", 5, "unlearn", "cat", "sun", False),
        ("mace", 5, "preserve", "dog", "dog", True),
    ]
    table = pd.DataFrame(rows, columns=["method", "steps", "side", "concept", "seen", "right"])
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 2, 2, 3)
    figure = strip(images, table, "esd", title="a message")
    axes = figure.axes
    assert [ax.get_xlabel() for ax in axes] == ["cat", "cat", "dog", "sun"]
    assert [to_hex(ax.xaxis.label.get_color()) for ax in axes] == [GOOD, BAD, GOOD, BAD]
    assert [int(ax.images[0].get_array().max()) for ax in axes] == [0, 2, 1, 3]
    assert [ax.get_title() for ax in axes[:2]] == ["unedited", "5 steps"]
    plt.close(figure)
