"""One command on emoji-sd asks, keeps and tells; what each probe finds stands in ``test_stress_never``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import scapre
from scapre.cli import app
from scapre.experiments.stress import budget as budgets
from scapre.experiments.stress import run
from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probes import find_probe
from typer.testing import CliRunner

QUICK = Budget("quick", targets=1, pictures=4, steps=0, checks=(), batch=1, shots=6)
#: one of ``unseen.csv`` that has other names
NAME = "hamburger"


@pytest.mark.slow
def test_one_command_asks_keeps_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(budgets.BUDGETS, "small", QUICK)
    asked: list[Any] = []
    monkeypatch.setattr(run, "find_probe", lambda name: asked.append(name) or find_probe(name))
    place, out = tmp_path / "patch.safetensors", tmp_path / "out"
    patch = scapre.erase(scapre.load_pipeline(), [NAME], retained=["pizza", "dog"], method="uce", progress=False)
    patch.save(place)
    words = ["stress", "--patch", str(place), "--probes", "sentences, synonyms", "--out", str(out)]
    first, second = (CliRunner().invoke(app, words) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    assert "warning" not in first.output
    models = pd.read_csv(out / "rows.csv")["model"].unique()
    assert len(asked) == 3 * len(models)  # the second call reads what the first kept
    table = pd.read_csv(out / "table.csv").set_index(["probe", "model"])
    assert table.loc[("sentences", "unedited"), "rate"] == 100
    assert table.loc[("plain", "edited"), "rate"] < 50
    assert (out / "figure.png").stat().st_size > 10_000
    assert (out / "verdict.txt").read_text().strip() in second.output
    assert len(list((out / "pictures").glob("*.png"))) == 3 * len(models)
