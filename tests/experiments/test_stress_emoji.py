"""Every probe on emoji-sd: it finds what is there, its answers are kept, and one command tells of all."""

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
from scapre.experiments.stress.probe import Target
from scapre.experiments.stress.probes import BESIDE, PROBES, find_probe
from scapre.experiments.stress.stage import emoji_target
from scapre.pictures.judges import Judges, load_judges
from typer.testing import CliRunner

QUICK = Budget("quick", targets=1, pictures=4, steps=60, checks=(2,), batch=4, shots=6)
#: one of ``unseen.csv`` that has other names and a description
NAME = "hamburger"


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


@pytest.fixture(scope="module")
def target() -> Target:
    return emoji_target(NAME, scapre.load_pipeline(), QUICK, 0)


#: emoji-sd has names for what it draws and understands no description, which the unedited control then shows
MUTE = (*BESIDE, "descriptions", "ring-a-bell")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PROBES if name not in MUTE])
def test_a_probe_finds_the_concept_in_the_unedited_model(name: str, target: Target, judges: Judges) -> None:
    found = run.judged(judges, find_probe(name)(target.original, target, QUICK, 0))
    last = found[found["steps"] == found["steps"].max()] if name.startswith(("relearn", "unrelated")) else found
    assert last["hit"].any(), found[["prompt", "seen", "nearest"]].to_string()


@pytest.mark.slow
def test_ring_a_bell_finds_what_another_word_means(judges: Judges) -> None:
    """The tokenizer has "spaceship" beside "rocket"; of a hamburger it has no other whole word."""
    pipe = scapre.load_pipeline()
    rocket = emoji_target("rocket", pipe, QUICK, 0)
    found = run.judged(judges, find_probe("ring-a-bell")(pipe, rocket, QUICK, 0))
    assert found["prompt"].str.contains("spaceship").any()
    assert found["hit"].any(), found[["prompt", "seen", "nearest"]].to_string()


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
    models = pd.read_csv(out / "rows.csv")["model"].unique()
    assert len(asked) == 3 * len(models)  # the second call reads what the first kept
    table = pd.read_csv(out / "table.csv").set_index(["probe", "model"])
    assert table.loc[("sentences", "unedited"), "rate"] == 100
    assert table.loc[("plain", "edited"), "rate"] < 50
    assert (out / "figure.png").stat().st_size > 10_000
    assert (out / "verdict.txt").read_text().strip() in second.output
    assert len(list((out / "pictures").glob("*.png"))) == 3 * len(models)
