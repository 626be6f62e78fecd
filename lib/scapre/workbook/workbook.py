"""What every notebook opens with: where results go, seeds, tables, figures, provenance."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scapre.files import replacing, write_text
from scapre.paths import repository
from scapre.workbook.look import theme, write_figure

PACKAGES = ("scapre", "torch", "diffusers", "transformers", "matplotlib")


class Workbook:
    """One notebook's results.

    Args:
        name: the notebook's file name without ending, e.g. ``00_first_erasure``.
        seed: seeds torch's global generator.
        out_dir: where ``figures/`` and ``data/results/`` are written; None: ``$SCAPRE_OUT``,
            else the repository.
        **parameters: whatever else the run depends on; written to the provenance.
    """

    def __init__(self, name: str, *, seed: int = 0, out_dir: str | None = None, **parameters: Any) -> None:
        root = Path(out_dir or os.environ.get("SCAPRE_OUT") or repository())
        self.name, self.seed = name, seed
        self.figure_folder = root / "figures" / name
        self.table_folder = root / "data" / "results" / name
        torch.manual_seed(seed)
        torch.set_grad_enabled(False)
        theme()
        about = {
            "notebook": name,
            "seed": seed,
            "parameters": parameters,
            "versions": {p: version(p) for p in PACKAGES} | {"python": platform.python_version()},
        }
        write_text(self.table_folder / "provenance.json", json.dumps(about, indent=1, sort_keys=True) + "\n")

    def figure(self, drawn: Figure | Axes, name: str) -> Figure:
        """Write ``figures/<notebook>/<name>.png``, its message as title in the file, and hand the figure back."""
        fig = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
        assert isinstance(fig, Figure)
        write_figure(fig, self.figure_folder / f"{name}.png", title=name)
        return fig

    def table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write ``data/results/<notebook>/<name>.csv`` with four decimals and return the table."""
        text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
        write_text(self.table_folder / f"{name}.csv", text)
        return table

    def pictures(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a table with a column of PNG bytes as ``data/results/<notebook>/<name>.parquet`` and return it."""
        with replacing(self.table_folder / f"{name}.parquet") as partial, partial.open("wb") as file:
            table.to_parquet(file, index=False, compression="zstd")
        return table

    def contract(self, **facts: Any) -> None:
        """Print the facts this notebook stands for, one a line, floats to three digits."""
        for name, value in facts.items():
            print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
