"""The house: packages import only downwards, each knows only its own third parties, and files stay short."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import scapre

FOLDER = Path(scapre.__file__).parent
#: a package imports only packages of lower floors, and its own modules without a circle
FLOORS = (
    ("mistakes", "paths", "files", "trail", "maths"),
    ("pool", "concepts", "model"),
    ("text", "workbook"),
    ("methods", "patch"),
    ("editing", "pictures"),
    ("experiments", "training"),
    ("cli", "__init__"),
)
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}
#: what a package may import besides the standard library
PARTIES = {
    "__init__": "lazy_loader",
    "mistakes": "",
    "paths": "",
    "files": "safetensors torch",
    "trail": "safetensors",
    "pool": "distributed",
    "maths": "torch",
    "concepts": "numpy pandas PIL resvg_py",
    "model": "diffusers safetensors torch tqdm transformers",
    "text": "safetensors torch tqdm",
    "workbook": "bs4 PIL jinja2 matplotlib nbclient nbconvert nbformat numpy pandas papermill pygments scipy seaborn "
    "torch tqdm yaml",
    "methods": "diffusers peft safetensors torch tqdm",
    "patch": "huggingface_hub pandas safetensors torch tqdm",
    "editing": "pandas PIL torch tqdm",
    "pictures": "nudenet numpy pandas PIL safetensors scipy torch torchmetrics tqdm transformers",
    "experiments": "ipywidgets matplotlib numpy pandas PIL torch tqdm",
    "training": "diffusers numpy pandas safetensors tokenizers torch tqdm transformers",
    "cli": "pandas torch typer",
}
LINES = 250


def modules(folder: Path = FOLDER) -> dict[str, Path]:
    """Every module by its dotted name below scapre; a package by its own."""
    return {".".join(p.relative_to(folder).with_suffix("").parts): p for p in sorted(folder.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Dotted names a file imports, wherever in it, as far as they are spelt out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def complaints(folder: Path) -> list[str]:
    """List what is wrong with the imports of a package; empty is good."""
    known, found, graph = modules(folder), [], {}
    for name, path in known.items():
        package = name.partition(".")[0]
        if package not in FLOOR:
            found.append(f"{name}: {package} stands on no floor")
            continue
        graph[name] = set()
        for used in imports(path):
            top, _, rest = used.partition(".")
            lower = rest.partition(".")[0]
            if top == "scapre" and lower in FLOOR:
                if lower != package and FLOOR[lower] >= FLOOR[package]:
                    found.append(f"{name} must not import {used}")
                graph[name] |= {rest, rest.rpartition(".")[0]} & known.keys() - {name}
            elif top == "scapre":
                found.append(f"{name} imports {used}, not the module it is defined in")
            elif top not in sys.stdlib_module_names and top not in PARTIES[package].split():
                found.append(f"{name} must not know {top}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' ← '.join(error.args[1])}")
    return found


def test_data_flows_down() -> None:
    assert complaints(FOLDER) == []


def test_no_floor_and_no_third_party_is_left_over() -> None:
    packages = {name.partition(".")[0] for name in modules()}
    assert packages == set(FLOOR) == set(PARTIES)
    for package, parties in PARTIES.items():
        named = [path for name, path in modules().items() if name.partition(".")[0] == package]
        known = {used.partition(".")[0] for path in named for used in imports(path)}
        assert set(parties.split()) <= known, package


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("maths/linalg.py", "import numpy", "maths.linalg must not know numpy"),
        (
            "maths/linalg.py",
            "def f():\n    from scapre.text.embeddings import encode",
            "must not import scapre.text",
        ),
        ("text/gathering.py", "from scapre.workbook import figures", "text.gathering must not import scapre.workbook"),
        ("text/gathering.py", "from scapre import erase", "imports scapre.erase, not the module it is defined in"),
        ("spare/linalg.py", "import torch", "spare stands on no floor"),
        ("methods/solution.py", "from scapre.methods import registry", "a circle"),
    ],
)
def test_a_broken_house_is_noticed(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    sound = {"methods/solution.py": "import torch", "methods/registry.py": "from scapre.methods.solution import Solver"}
    for name, text in (sound | {file: line}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = complaints(tmp_path)
    assert len(found) == 1
    assert complaint in found[0]


def test_every_package_says_what_enters_and_leaves() -> None:
    for name, path in modules().items():
        if name.endswith("__init__"):
            assert ast.get_docstring(ast.parse(path.read_text())), name


def test_files_stay_short() -> None:
    for name, path in modules().items():
        assert len(path.read_text().splitlines()) <= LINES, name


def test_tests_mirror_packages() -> None:
    for path in Path(__file__).parent.glob("**/test_*.py"):
        above = path.parent.relative_to(Path(__file__).parent)
        assert (FOLDER / above).is_dir(), path


def test_nothing_is_read_by_pickle() -> None:
    for name, path in modules().items():
        calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}
        assert not calls & {"torch.load", "pickle.load", "pickle.loads", "np.load", "joblib.load", "pd.read_pickle"}, (
            name
        )


def test_no_path_is_absolute() -> None:
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("/home", "/tmp", "/usr", "/root", "/work")), name
