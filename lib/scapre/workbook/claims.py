"""Claims: numbers and statements of the prose, each an expression over the tables it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from scapre.mistakes import Mistake
from scapre.paths import data_folder

PLAIN: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "sum": sum, "len": len, "round": round}
PLAIN["span"] = lambda values: [pd.Series(values).min(), pd.Series(values).max()]


class ClaimError(Mistake, ValueError):
    """The register or a claim of it cannot be read; the message names it and the remedy."""


class Register:
    """The claims of ``data/claims.yaml``, by name.

    The file holds one section a table (its path below ``data/``, without ending) with lines ``name: expression``. An
    expression is Jinja's, in its sandbox: ``t`` is the section's table, ``pick`` takes cells of it, ``table`` reads
    another, ``claim`` is the value of another claim. A claim is one truth value, a number, or several numbers in the
    order of the prose.

    Args:
        data: the folder with ``claims.yaml``, ``results/`` and ``published/``; None: the repository's.

    Raises:
        ClaimError: the file is no such register, or a name stands in it twice.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data or data_folder()
        self._language = SandboxedEnvironment(undefined=StrictUndefined)
        self._values: dict[str, bool | list[float]] = {}

    @cached_property
    def expressions(self) -> dict[str, tuple[str, str]]:
        """Of each name, the table and the expression."""
        path = self.data / "claims.yaml"
        try:
            sections = yaml.load(path.read_text(encoding="utf-8"), _Unique)
        except (OSError, yaml.YAMLError) as error:
            raise ClaimError(f"{path.name} cannot be read: {error}") from error
        if not isinstance(sections, dict) or not all(isinstance(lines, dict) for lines in sections.values()):
            raise ClaimError(f"{path.name} must hold a section a table, and lines `name: expression` in it")
        found: dict[str, tuple[str, str]] = {}
        for table, lines in sections.items():
            for name, expression in lines.items():
                if name in found:
                    raise ClaimError(f"{path.name} names {name} twice; give each claim a name of its own")
                found[name] = (table, str(expression))
        return found

    def value(self, name: str) -> bool | list[float]:
        """Compute a claim: a truth value, or its numbers in order.

        Raises:
            ClaimError: no such claim, or its expression finds no value in the tables.
        """
        if name not in self._values:
            if name not in self.expressions:
                raise ClaimError(f"no claim is named {name}; add it to data/claims.yaml")
            source, expression = self.expressions[name]
            frame = read_table(self.data / source)
            scope: dict[str, Any] = {"t": frame, "claim": self._single, **PLAIN}
            scope |= {"pick": _picker(frame, source), "rows": lambda **where: _rows(frame, where)}
            scope["table"] = lambda other: read_table(self.data / other)
            scope["cell"] = lambda other, column, **where: _picker(read_table(self.data / other), other)(
                column, **where
            )
            try:
                result = self._language.compile_expression(expression, undefined_to_none=False)(**scope)
                self._values[name] = _plain(result)
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
                raise ClaimError(f"{name} ({source}): {error}; its expression is {expression}") from error
        return self._values[name]

    def _single(self, name: str) -> Any:
        found = self.value(name)
        return found[0] if isinstance(found, list) and len(found) == 1 else found


class _Unique(yaml.SafeLoader):
    """YAML in which no key stands twice: the second would silently hide the first."""


def _mapping(loader: _Unique, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise yaml.YAMLError(f"{', '.join(map(str, twice))} stands twice")
    return loader.construct_mapping(node)


_Unique.add_constructor("tag:yaml.org,2002:map", _mapping)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> pd.DataFrame:
    return pd.read_csv(path)


def read_table(path: Path) -> pd.DataFrame:
    """Read ``path.csv``.

    Raises:
        ClaimError: there is no such table.
    """
    full = path.with_name(path.name + ".csv")
    if not full.is_file():
        raise ClaimError(f"there is no table {full.name} in {full.parent}")
    return _read(full, full.stat().st_mtime_ns)


def _picker(frame: pd.DataFrame, source: str) -> Callable[..., Any]:
    def pick(column: str | Sequence[str], **where: Any) -> Any:
        """Cells where columns equal ``where``; several values or columns: in their order, the last fastest."""
        columns = [column] if isinstance(column, str) else list(column)
        many = {key: value for key, value in where.items() if isinstance(value, (list, tuple))}
        found = []
        for values in product(*many.values()):
            chosen = where | dict(zip(many, values, strict=True))
            found += [_cell(frame, source, name, chosen) for name in columns]
        return found if many or not isinstance(column, str) else found[0]

    return pick


def _cell(frame: pd.DataFrame, source: str, column: str, where: Mapping[str, Any]) -> Any:
    rows = _rows(frame, where)
    if len(rows) != 1:
        said = ", ".join(f"{key}={value}" for key, value in where.items())
        raise ClaimError(f"{source} has {len(rows)} rows with {said or 'no condition'}, not one")
    return rows[column].iloc[0]


def _rows(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose columns equal ``where``, or are in it where it is a list."""
    for key, value in where.items():
        frame = frame[frame[key].isin(value if isinstance(value, (list, tuple)) else [value])]
    return frame


def _plain(result: Any) -> bool | list[float]:
    """A truth value, or numbers in order."""
    if isinstance(result, (bool, np.bool_)):
        return bool(result)
    if isinstance(result, (list, tuple)) and result and all(isinstance(part, (list, tuple)) for part in result):
        result = [number for part in result for number in part]
    values = np.asarray(result)
    if values.dtype == bool or values.dtype.kind not in "iuf" or values.size == 0:
        raise ClaimError(f"is neither a truth value nor numbers but {result!r}")
    return [float(value) for value in values.ravel()]
