"""What people type and bring, from the command line: an answer, a sentence, or a line on what was passed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file
from scapre.cli import app
from scapre.cli.commands import NO_MEMORY, sentence
from scapre.experiments.stress.budget import BUDGETS, Budget
from scapre.patch.patch import Patch
from scapre.pool import JobError
from typer.testing import CliRunner

FAST = ("--steps", "1", "--workers", "1")


def run(*words: str | Path, status: int = 0) -> str:
    """The answer of a command; an edit is of the method that takes least time."""
    quick = ("--method", "confined") if words[0] == "erase" else ()
    result = CliRunner().invoke(app, [str(w) for w in (*words, *quick)])
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


def targets(folder: Path, *words: str) -> list[str]:
    run("erase", *words, "--retain", "cat", "--out", folder / "x.safetensors")
    return Patch.load(folder / "x.safetensors").provenance["targets"]


def test_names_are_given_in_any_of_the_usual_ways(tmp_path: Path) -> None:
    assert targets(tmp_path, "--targets", "dog; lemon") == ["dog", "lemon"]
    assert targets(tmp_path, "--targets", "dog", "--targets", '"red, round lemon"') == ["dog", "red, round lemon"]
    (tmp_path / "list.txt").write_text("1984\n007\n")
    assert targets(tmp_path, "--targets-file", tmp_path / "list.txt") == ["1984", "007"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--targets", "dog, Dog"], "targets names dog, Dog more than once"),
        (["--targets", "dog", "--retain", "Dog"], "dog, Dog: both target and retained"),
        (["--targets", "dog", "--anchors", "Dog"], "'dog' would be replaced by itself"),
        (["--targets", 'dog, "Paris'], "a quote without its end"),
        (["--targets", ", ;"], "the list of targets is empty"),
        (["--targets", "dog", "-s", "erase_scale=1e999"], "erase_scale must be finite"),
        (["--targets", "dog", "-s", "ridge=true"], "ridge is a number; give one, not True"),
        (["--targets", "dog", "-s", "ridge=1", "-s", "ridge=2"], "the setting ridge is given twice"),
        (["--targets", "dog", "--model", "m/x.safetensors"], "a checkpoint of one file; write it as a folder once"),
        (["--targets", "dog", "--model", "x.ckpt"], "a checkpoint of one file"),
        (["--targets", "dog", "--keep-memory", "x.safetensors"], "x.safetensors is named twice"),
        (["--targets", "dog", "--keep-memory", "/proc/x"], "cannot write /proc/x"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in run("erase", *words, "--out", "x.safetensors", status=1)
    assert not list(tmp_path.iterdir())


def test_repeated_kept_names_and_styles_among_objects_are_said(tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    text = run("erase", "--targets", "dog, ink", "--retain", "cat, Cat", "--templates", "sentences", "--out", out)
    assert "note: retained: 1 repeated names are taken once" in text
    assert "note: ink is a style and others are not" in text
    assert "note: 'a picture of a ink' is no sentence" in text
    assert "note: no style is kept, so ink turns into an object" in text


def test_an_edit_that_changes_nothing_is_told_and_survives_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.safetensors"
    text = run("erase", "--targets", "dog", "--retain", "cat, fox", "-s", "threshold=1e6", "--out", out)
    assert "warning: the edit changes nothing" in text
    assert load_file(out) == {}
    assert "warning: the edit changes nothing" in run("inspect", out)
    run("apply", "--patch", out, "--out", tmp_path / "edited")
    assert "changes nothing, so there is nothing to export" in run("export", out, "--out", tmp_path / "y", status=1)
    (tmp_path / "p.csv").write_text("prompt\na cat\n")
    run("generate", "--prompts", tmp_path / "p.csv", "--patch", out, "--out", tmp_path / "drawn", *FAST)
    assert [p.name for p in (tmp_path / "drawn").glob("*.png")] == ["0_0.png"]
    monkeypatch.setitem(BUDGETS, "small", Budget("small", 1, 1, 0, (), 1, 1))
    text = run("stress", "--patch", out, "--probes", "plain", "--out", tmp_path / "asked")
    assert "warning: this patch changes nothing; edited and unedited are one model" in text
    rates = pd.read_csv(tmp_path / "asked" / "table.csv").set_index("model")["rate"]
    assert rates["edited"] == rates["unedited"]


def test_an_edit_of_too_little_is_warned_of(tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    text = run("erase", "--targets", "dog", "--retain", "cat, fox", "-s", "ridge=1e6", "--out", out)
    assert "% of the change asked for did not happen (limit 50%)" in text


def test_what_generate_wrote_is_read_by_generate(tmp_path: Path) -> None:
    lines = ['prompt,class\r\n"a cat\r\nin rain, at night",cat\r\n', "a picture of a fox,fox\r\n"]
    (tmp_path / "p.csv").write_bytes("".join(lines).encode())
    for again in range(2):  # the second call continues
        run("generate", "--prompts", tmp_path / "p.csv", "--out", tmp_path / "drawn", *FAST)
        run("generate", "--prompts", tmp_path / "drawn" / "prompts.csv", "--out", tmp_path / "again", *FAST)
        assert again or (tmp_path / "again" / "0_0.png").is_file()
    for name in ("0_0.png", "1_0.png", "prompts.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "drawn" / name).read_bytes()


def test_seeds_of_64_bits_and_prompts_beyond_the_window_are_drawn(tmp_path: Path) -> None:
    long = "a picture of a very old and very small red fox in the snow at night"
    (tmp_path / "p.csv").write_text(f"case_number,prompt,seed\n3,{long},{2**64 - 1}\n3,a cat,5\n")
    words = ("generate", "--prompts", tmp_path / "p.csv", "--out", tmp_path / "drawn", "--samples", "2", *FAST)
    assert "case number 3 repeats" in run(*words, status=1)
    assert "note: 1 prompts are longer than the 14 tokens" in run(*words, "--by-row")
    assert sorted(p.name for p in (tmp_path / "drawn").glob("*.png")) == [
        f"{i}_{k}.png" for i in (0, 1) for k in (0, 1)
    ]


def test_an_edited_model_is_known_as_edited(tmp_path: Path) -> None:
    patch = tmp_path / "x.safetensors"
    run("erase", "--targets", "dog", "--retain", "cat, fox", "--out", patch)
    run("apply", "--patch", patch, "--out", tmp_path / "half", "--strength", "0.5")
    (tmp_path / "p.csv").write_text("prompt,class\na picture of a dog in flat style,Dog\na fox,fox\n")
    run("generate", "--prompts", tmp_path / "p.csv", "--model", tmp_path / "half", "--out", tmp_path / "drawn", *FAST)
    table = run("score", tmp_path / "drawn")
    assert "unlearn accuracy" in table
    assert pd.read_csv(tmp_path / "drawn" / "scores.csv").set_index("metric")["pictures"]["unlearn accuracy"] == 1
    run("undo", "--model", tmp_path / "half", "--patch", patch, "--out", tmp_path / "whole")
    assert not (tmp_path / "whole" / "scapre.json").exists()
    run("apply", "--patch", patch, "--model", tmp_path / "whole", "--out", tmp_path / "again")  # the base model
    assert json.loads((tmp_path / "again" / "scapre.json").read_text())[0]["targets"] == ["dog"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_terminal_shows_an_edit(tmp_path: Path, encoding: str) -> None:
    run("erase", "--targets", "kätzchen", "--retain", "cat", "--out", tmp_path / "x.safetensors")
    env = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", "from scapre.cli import app; app()", "inspect", str(tmp_path / "x.safetensors")]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tzchen" in done.stdout.decode(errors="replace")


def test_errors_become_sentences() -> None:
    job = JobError("job 0, _Errand(…): ValueError('the model draws NaN')")
    job.__cause__ = ValueError("the model draws NaN")
    assert sentence(job) == "the model draws NaN"
    assert sentence(MemoryError()) == NO_MEMORY
    assert sentence(type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")) == NO_MEMORY
    assert sentence(PermissionError(13, "Permission denied", "x")) == "x: Permission denied"
    assert sentence(KeyError("ours")) is None
