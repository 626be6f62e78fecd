"""Every command once, on emoji-sd; every mistake one sentence and a status that is not 0."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import typer
from mistakes import MISTAKES
from safetensors.torch import load_file
from scapre.cli import app
from scapre.cli.options import settings
from scapre.methods.registry import METHODS
from scapre.paths import model_folder
from typer.testing import CliRunner

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EXAMPLES = [
    "erase",
    "apply",
    "undo",
    "inspect",
    "export",
    "stress",
    "ranks",
    "generate",
    "score",
    "bench",
    "run",
    "protocol",
]
RIDGE = f"ridge {METHODS['confined'].defaults['ridge']}"
UNET = Path("unet") / "diffusion_pytorch_model.safetensors"


def run(*words: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == status, result.output
    if status:
        assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    out = folder / "no-dog.safetensors"
    text = run("erase", "--targets", "dog, lemon", "--retain", "cat, fox", "--out", out)
    assert "2 targets, 2 kept, 18 matrices" in text
    assert "warning" not in text
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {k: v.float() for k, v in load_file(folder / UNET).items()}


def test_every_command_explains_itself() -> None:
    assert "erase" in run("--help")
    for name in COMMANDS:
        text = run(name, "--help")
        if name in {*EXAMPLES, "protocol"}:
            assert f"scapre {name}" in text, f"{name} shows no example"


def test_apply_and_undo_go_round(folder: Path) -> None:
    patch = folder / "no-dog.safetensors"
    run("apply", "--patch", patch, "--out", folder / "edited")
    run("undo", "--model", folder / "edited", "--patch", patch, "--out", folder / "restored")
    base, edited, restored = weights(model_folder()), weights(folder / "edited"), weights(folder / "restored")
    stored = load_file(patch)
    for name, weight in base.items():
        assert restored[name].equal(weight)
        assert edited[name].equal(stored.get(name, weight))
    run("apply", "--patch", patch, "--strength", "0.5", "--out", folder / "half")
    half = weights(folder / "half")
    assert all(torch.allclose(half[n], (base[n] + w) / 2, atol=1e-6) for n, w in stored.items() if n in base)
    assert "exists already" in run("apply", "--patch", patch, "--out", folder / "half", status=1)
    assert "applied already" in run(
        "apply", "--model", folder / "edited", "--patch", patch, "--out", folder / "twice", status=1
    )
    assert "not applied" in run("undo", "--model", model_folder(), "--patch", patch, "--out", folder / "x", status=1)


def test_inspect_tells_what_and_how(folder: Path) -> None:
    text = run("inspect", folder / "no-dog.safetensors")
    for words in ("emoji-sd", "dog, lemon", "cat, fox", RIDGE, "beside it", "█", "mid_block", "retained_drift"):
        assert words in text
    about = json.loads(run("inspect", "--json", folder / "no-dog.safetensors"))
    assert about["provenance"]["targets"] == ["dog", "lemon"]
    assert len(about["base"]) == len(about["diagnostics"]) == 18


def test_pictures_are_drawn_and_judged(folder: Path) -> None:
    prompts = folder / "prompts.csv"
    rows = [f"{i},a picture of a {n} in flat style,{n},{i}" for i, n in enumerate(("dog", "fox"))]
    prompts.write_text("\n".join(["case_number,prompt,class,evaluation_seed", *rows]))
    out = folder / "after"
    patch = folder / "no-dog.safetensors"
    run("generate", "--prompts", prompts, "--patch", patch, "--out", out, "--samples", "2")
    assert sorted(p.name for p in out.glob("*.png")) == ["0_0.png", "0_1.png", "1_0.png", "1_1.png"]
    text = run("score", out)
    assert "unlearn accuracy" in text
    assert pd.read_csv(out / "scores.csv").set_index("metric").loc["preserve accuracy", "value"] == 100
    run("export", patch, "--form", "dora", "--tolerance", "1e-6", "--scores", out / "scores.csv", "--out", folder / "d")
    assert "unlearn accuracy" in (folder / "d" / "README.md").read_text()


def test_erasing_in_two_sittings(tmp_path: Path) -> None:
    memory, edits = tmp_path / "dog.memory", [tmp_path / f"{name}.safetensors" for name in ("one", "two", "once")]
    run("erase", "--targets", "dog", "--retain", "cat", "--keep-memory", memory, "--out", edits[0])
    text = run("erase", "--targets", "lemon", "--earlier", memory, "--out", edits[1])
    assert "2 targets, 1 kept" in text
    run("erase", "--targets", "dog, lemon", "--retain", "cat", "--out", edits[2])
    two, once = (load_file(file) for file in edits[1:])
    assert all(torch.allclose(two[name], once[name], atol=1e-6) for name in once)
    assert "dog: erased before" in run("erase", "--targets", "dog", "--earlier", memory, "--out", edits[0], status=1)


def test_a_target_is_taken_back(tmp_path: Path) -> None:
    memory, never, revoked = (tmp_path / f"{name}.safetensors" for name in ("memory", "never", "revoked"))
    common = ("--method", "confined", "--retain", "cat")
    run("erase", *common, "--targets", "dog, lemon", "--keep-memory", memory, "--out", never)
    run("erase", *common, "--targets", "dog", "--out", never)
    text = run("erase", "--method", "confined", "--earlier", memory, "--revoke", "lemon", "--out", revoked)
    assert "1 targets, 1 kept" in text
    first, second = load_file(never), load_file(revoked)
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_erasing_after_an_earlier_patch(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run("erase", "--method", "dp", "--targets", "dog", "--retain", "cat", "--out", first)
    run("erase", "--method", "dp", "--targets", "lemon", "--retain", "cat", "--after", first, "--out", second)
    run("apply", "--patch", first, "--patch", second, "--out", tmp_path / "both")
    about = json.loads(run("inspect", "--json", second))["provenance"]
    assert (about["after"], about["off"]) == (1, True)


def test_edits_that_go_too_far_are_warned_of(tmp_path: Path) -> None:
    out = tmp_path / "far.safetensors"
    text = run(
        "erase", "--targets-file", "diversi50", "--retain-file", "validation", "--method", "scapre-paper", "--out", out
    )
    assert "warning: the answers to kept concepts moved" in text
    text = run("erase", "--targets", "dog", "--method", "confined", "--out", out)
    assert "warning: no concept to keep was named" in text


@pytest.mark.parametrize(("words", "sentence"), MISTAKES)
def test_mistakes_get_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = run(*words, status=1)
    assert sentence in text
    assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
    assert not list(tmp_path.iterdir())


def test_missing_options_are_named() -> None:
    assert "--out" in run("erase", "--targets", "dog", status=2)


def test_settings_that_are_no_numbers() -> None:
    assert settings(["a=1", "b=0.5", "c=True", "d=code-2025"]) == {"a": 1, "b": 0.5, "c": True, "d": "code-2025"}
    for pair in ("a", "a=", "a=X!", "a=[1]"):
        with pytest.raises(ValueError, match="cannot read the setting"):
            settings([pair])
