"""environment.yml, the lock file and the package name the same things."""

from __future__ import annotations

import re
import tomllib

import yaml
from scapre.paths import repository

CARD = ("jupyterlab", "torch", "diffusers", "transformers", "seaborn", "ipywidgets", "papermill", "nbval")


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=! ]", name)[0]).lower()


def lock() -> dict[str, str]:
    lines = (repository() / "requirements.lock").read_text().split()
    return {plain(line): line.partition("==")[2] for line in lines}


def wanted(text: str) -> list[str]:
    parts = yaml.safe_load(text)["dependencies"]
    return next(p["pip"] for p in parts if isinstance(p, dict))


def disagreements(text: str) -> list[str]:
    exact, found = lock(), []
    for line in wanted(text):
        if line.startswith("-"):
            continue
        version = line.partition("==")[2]
        if plain(line) not in exact or (version and exact[plain(line)] != version):
            found.append(line)
    return found


def test_environment_and_lock_agree() -> None:
    text = (repository() / "environment.yml").read_text()
    names = [plain(line) for line in wanted(text)]
    assert not disagreements(text)
    assert set(CARD) <= set(names)
    assert wanted(text)[0] == "-r requirements.lock"
    assert wanted(text)[-1] == "-e ./lib"


def test_disagreement_is_noticed() -> None:
    text = (repository() / "environment.yml").read_text()
    assert disagreements(text.replace("torch==2.13.0", "torch==2.12.0")) == ["torch==2.12.0"]
    assert disagreements(text.replace("- seaborn ", "- seaborne ")) == ["seaborne"]


def test_every_line_says_why() -> None:
    for line in (repository() / "environment.yml").read_text().splitlines():
        if line.startswith("      - "):
            assert " # " in line, line


def test_lock_is_exact_and_torch_is_not_hashed() -> None:
    assert all(lock().values())
    assert lock()["torch"] == "2.13.0"
    assert "--hash" not in (repository() / "requirements.lock").read_text()


def test_package_dependencies_are_locked() -> None:
    project = tomllib.loads((repository() / "lib" / "pyproject.toml").read_text())["project"]
    assert {plain(d) for d in project["dependencies"]} <= set(lock())
