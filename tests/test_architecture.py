"""The order of modules: data flows one way, and mathematics knows only torch."""

from __future__ import annotations

import ast
from pathlib import Path

import scapre

FOLDER = Path(scapre.__file__).parent
#: a module may import only modules of lower rank
RANKS = (
    ("paths", "linalg", "projections", "pool", "npm"),
    (
        "adapters",
        "bures",
        "information",
        "concepts",
        "emoji",
        "backbones",
        "embeddings",
        "judges",
        "sampling",
        "metrics",
        "prompts",
        "figures",
    ),
    ("statistics", "patch", "pictures", "workbook", "runner"),
    ("methods.solution", "evaluation", "conflict", "generation", "card", "guard", "memory"),
    ("methods.uce", "methods.released", "methods.paper", "methods.confined", "methods.speed", "methods.cure"),
    ("methods.rece", "methods.mace"),
    ("methods.registry",),
    ("editing", "export"),
    ("__init__", "bench", "sweep", "technique", "exploration", "farm", "site"),
    ("experiments", "explorer"),
    ("ablation",),
    ("training.augment", "training.loop", "training.captions"),
    ("training.text", "training.vae", "training.unet", "training.judges"),
    ("training.recipe", "training.card"),
    ("cli.options",),
    ("cli.edit", "cli.share", "cli.pictures", "cli.workbook", "cli.model"),
    ("cli.__init__",),
)
RANK = {module: rank for rank, modules in enumerate(RANKS) for module in modules}
MATHEMATICS = {"conflict", "linalg", "adapters", "bures", "information", "statistics"}
PACKAGES = {"scapre.training", "scapre.cli"}
LINES = 250


def modules() -> dict[str, Path]:
    found = {".".join(p.relative_to(FOLDER).with_suffix("").parts): p for p in FOLDER.rglob("*.py")}
    return {name: path for name, path in found.items() if path.read_text().strip()}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{a.name}" if node.module in PACKAGES else node.module or "" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_every_module_has_a_rank() -> None:
    assert set(modules()) == set(RANK)


def test_modules_import_only_lower_ranks() -> None:
    for name, path in modules().items():
        for used in imports(path):
            if used.startswith("scapre."):
                lower = used.removeprefix("scapre.")
                assert RANK[lower] < RANK[name], f"{name} must not import {lower}"


def test_mathematics_knows_only_torch() -> None:
    standard = {"__future__", "collections.abc", "dataclasses", "functools", "math", "typing"}
    for name in MATHEMATICS | {n for n in modules() if n.startswith("methods.")}:
        foreign = {
            m for m in imports(modules()[name]) if m not in standard and m.split(".")[0] not in {"torch", "scapre"}
        }
        # statistics only names the type of the contexts it is handed
        assert not foreign, f"{name} imports {foreign}"


def test_the_rank_test_can_fail() -> None:
    assert RANK["editing"] > RANK["methods.uce"]
    assert "scapre.methods.uce" in imports(FOLDER / "methods" / "registry.py")


def test_files_stay_short() -> None:
    for name, path in modules().items():
        assert len(path.read_text().splitlines()) <= LINES, name


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
