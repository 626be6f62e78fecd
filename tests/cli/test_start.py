"""Help and mistakes are answered before anything heavy is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mistakes import MISTAKES, USAGE

HEAVY = ("torch", "transformers", "diffusers", "papermill", "torchmetrics", "seaborn", "matplotlib")
ASKED = """
import json, sys
from typer.testing import CliRunner
from scapre.cli import app

for words in json.load(sys.stdin):
    result = CliRunner().invoke(app, words)
    loaded = [name for name in HEAVY if name in sys.modules]
    print(json.dumps([result.exit_code, result.output, loaded]))
"""


def ask(commands: list[list[str]], folder: Path) -> list[tuple[int, str, list[str]]]:
    """Status, answer and heavy packages loaded so far, of commands in one fresh process."""
    code = f"HEAVY = {HEAVY!r}\n{ASKED}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_help_loads_nothing(tmp_path: Path) -> None:
    names = [
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
        "families",
        "run",
    ]
    for status, text, loaded in ask([["--help"], *([name, "--help"] for name in names)], tmp_path):
        assert status == 0, text
        assert loaded == []


def test_mistakes_are_answered_before_anything_is_loaded(tmp_path: Path) -> None:
    answers = ask([words for words, _ in MISTAKES] + USAGE, tmp_path)
    for (words, sentence), (status, text, loaded) in zip(MISTAKES, answers[: len(MISTAKES)], strict=True):
        assert (status, loaded) == (1, []), (words, text)
        assert sentence in text
    for words, (status, text, loaded) in zip(USAGE, answers[len(MISTAKES) :], strict=True):
        assert (status, loaded) == (2, []), (words, text)


def test_a_command_that_loads_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no patch")
    [(status, _, loaded)] = ask([["inspect", "x.safetensors"]], tmp_path)
    assert status == 1
    assert "torch" in loaded


@pytest.mark.parametrize("line", ["import scapre", "import scapre; scapre.methods()", "from scapre import methods"])
def test_the_package_loads_what_is_asked_for(line: str) -> None:
    code = f"{line}; import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_no_package_takes_its_place() -> None:
    code = (
        "import scapre.methods.registry, scapre\n"
        "assert callable(scapre.methods) and 'staged' in scapre.methods()\n"
        "from scapre.methods.closed.uce import uce_solver\n"
        "assert callable(scapre.methods)\n"
        "for name in scapre.__all__: assert callable(getattr(scapre, name)), name\n"
        "assert set(scapre.__all__) <= set(dir(scapre))\n"
        "print(len(scapre.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 11
