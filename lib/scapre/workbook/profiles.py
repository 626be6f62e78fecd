"""What a notebook can be told: the names its parameters cell assigns, and files that set them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from scapre.mistakes import Mistake

UNKNOWN = object()  # a default that is no literal


class NotebookError(Mistake, RuntimeError):
    """A notebook cannot run as asked; the message names it and the remedy."""


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2's core: ``1e-4`` is a number, ``010`` is ten; ``12:30``, ``yes`` and dates are text."""


def _once(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Read names and values; a name that stands twice would lose its first value without a word."""
    names = [key.value for key, _ in node.value]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is set twice; set it once")
    return loader.construct_mapping(node, deep=True)


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10)


_Yaml12.yaml_implicit_resolvers = {}
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", "~nN"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
):
    _starts = [*_first, ""] if _tag == "null" else list(_first)
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _starts)
_Yaml12.add_constructor("tag:yaml.org,2002:int", _whole)
_Yaml12.add_constructor("tag:yaml.org,2002:map", _once)


def profile_values(path: Path, profile: str) -> dict[str, Any]:
    """Read ``profiles/<notebook>.<profile>.yaml`` beside a notebook; without one, or an empty one: no values.

    Raises:
        NotebookError: the file holds anything but ``name: value`` lines.
    """
    chosen = path.parent / "profiles" / f"{path.stem}.{profile}.yaml"
    if not chosen.is_file():
        return {}
    try:
        values = yaml.load(chosen.read_text(encoding="utf-8"), _Yaml12)
    except (yaml.YAMLError, ValueError) as error:
        raise NotebookError(f"{chosen.name} is not YAML: {error}") from error
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise NotebookError(f"{chosen.name} must hold lines `name: value`, as papermill's parameter files do")
    return values


def parameters(path: Path) -> dict[str, Any]:
    """Name what the parameters cell of a notebook assigns, several at once included, with its literal values.

    Raises:
        NotebookError: no notebook, or a parameters cell that is no Python.
    """
    try:
        book = nbformat.read(path, as_version=4)
        cells = [c for c in book.cells if "parameters" in c.metadata.get("tags", [])]
        source = "\n".join(line for c in cells for line in c.source.splitlines() if not line.startswith(("%", "!")))
        return dict(_assigned(ast.parse(source)))
    except (OSError, ValueError, SyntaxError, AttributeError, TypeError, nbformat.ValidationError) as error:
        raise NotebookError(f"{path} is no intact notebook ({error})") from error


def _assigned(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _pairs(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _pairs(node.target, node.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, Any]]:
    """Names on the left of an assignment, each with what stands for it on the right."""
    if isinstance(target, ast.Name):
        try:
            yield target.id, ast.literal_eval(value)
        except (ValueError, TypeError):
            yield target.id, UNKNOWN
    elif isinstance(target, (ast.Tuple, ast.List)):
        several = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        values = value.elts if several else [value] * len(target.elts)  # type: ignore[attr-defined]
        for name, part in zip(target.elts, values, strict=True):
            for known, default in _pairs(name.value if isinstance(name, ast.Starred) else name, part):
                yield known, default if several else UNKNOWN


def check_parameters(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse parameters a notebook does not have, of which papermill only warns, and values of another kind.

    Raises:
        NotebookError: an unknown parameter, or text or nothing where the notebook has a number, and the like.
    """
    known = parameters(path)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise NotebookError(f"{path.stem} has no parameter {', '.join(unknown)}; it knows {', '.join(known)}")
    for name, value in given.items():
        wanted, got = _kind(known[name]), "nothing" if value is None else _kind(value)
        if "anything" not in (wanted, got) and wanted != got:
            raise NotebookError(f"{path.stem}: {name} is {wanted} ({known[name]!r}), not {got} ({value!r})")


def _kind(value: Any) -> str:
    kinds = {bool: "a switch", int: "a number", float: "a number", str: "a text", list: "a list", tuple: "a list"}
    return kinds.get(type(value), "anything")
