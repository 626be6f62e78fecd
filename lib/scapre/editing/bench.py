"""How long an edit takes at the shapes of real models, against its floor and the naive way."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.methods.registry import ALONE, DEFAULT, build_solver, find_method
from scapre.methods.solution import Solver
from scapre.model import shapes
from scapre.model.shapes import Reading, is_transformer, readings_of
from scapre.text.embeddings import Contexts
from scapre.text.statistics import ConceptStatistics

COUNTS = (1, 10, 50, 100, 1000, 10_000)
NAIVE_ROWS = 20  # rows the naive solve is timed on before extrapolation


def _timed(job: Callable[..., Any], *arguments: Any, **settings: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = job(*arguments, **settings)
    return time.perf_counter() - start, result


def random_statistics(n: int, width: int, length: int, seed: int = 0) -> ConceptStatistics:
    """Random features of CLIP's size (norm 28) for ``n`` targets, one blank replacement."""
    generator = torch.Generator().manual_seed(seed)
    size = 28 / width**0.5
    contexts = torch.randn(n, length - 1, width, generator=generator).mul_(size)
    blank = torch.randn(1, length - 1, width, generator=generator).mul_(size)
    none = torch.zeros(n, dtype=torch.long)
    return ConceptStatistics(
        targets=contexts[:, 0].double(),
        anchors=blank[:, 0].double().expand(n, -1),
        contexts=Contexts(contexts, blank, none, none, none[:1]),
        retained=torch.zeros(0, width, dtype=torch.float64),
        kept=torch.zeros(0, 1, width),
        kept_last=none[:0],
        blank=blank[0].double(),
    )


def random_weights(model: str, method: str) -> list[Tensor]:
    """Every projection a method edits, ``(d_out, d)`` float64 each, at the shapes of a model with one reading."""
    return _weights(readings_of(model)[0], len(find_method(method).kinds))


def floor_products(statistics: ConceptStatistics, weights: Sequence[Tensor]) -> None:
    """The products no solver avoids whose rows differ: the Gram of all contexts, each weight into a basis and back.

    Where one matrix serves all rows (UCE, `staged`, DP) a single product does, so such a method may stay below it.
    """
    rows = statistics.contexts.targets.flatten(0, 1)
    square = (rows.T @ rows).double()
    for weight in weights:
        (weight @ square) @ square


def _solve_all(solver: Solver, weights: Sequence[Tensor]) -> None:
    for weight in weights:
        solver(weight)


def _naive(statistics: ConceptStatistics, weight: Tensor) -> None:
    """One dense system a row, factorised anew, as the released code solves them."""
    system = 0.5 * torch.eye(statistics.width, dtype=torch.float64) + statistics.gram
    for row in weight[:NAIVE_ROWS]:
        torch.linalg.solve(system, row)


def _weights(reading: Reading, kinds: int) -> list[Tensor]:
    """Random matrices of one reading; a method that edits to_v only has half of the pairs to solve."""
    generator = torch.Generator().manual_seed(0)
    sizes = reading.rows[:: 3 - kinds] if len(reading.rows) > 1 else reading.rows
    width = reading.width
    return [torch.randn(d_out, width, generator=generator, dtype=torch.float64) / width**0.5 for d_out in sizes]


def _times(method: str, reading: Reading, weights: Sequence[Tensor], n: int) -> dict[str, float]:
    """Seconds of each stage for all matrices of a reading."""
    statistics = random_statistics(n, reading.width, reading.length)
    floor, _ = _timed(floor_products, statistics, weights)
    gather, solver = _timed(build_solver, method, statistics, weights, {})
    solve, _ = _timed(_solve_all, solver, weights)
    naive, _ = _timed(_naive, statistics, weights[0])
    found = {"statistics": gather, "solve": solve, "floor": floor, "naive": naive * sum(map(len, weights)) / NAIVE_ROWS}
    return {name: seconds * reading.times for name, seconds in found.items()}


def benchmark(model: str = "sd1", method: str | None = None, counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Time statistics and solves of ``method`` at a model's shapes.

    Args:
        method: None: the default of the model. Where every layer reads features of its own one of them is timed and
            stands for all.

    Returns:
        one row a count: seconds of ``statistics`` and ``solve``, their ``total``, the
        ``floor`` measured in the same run and the ratio to it, ``naive`` seconds
        extrapolated from ``NAIVE_ROWS`` rows and the ratio, peak memory in GB.

    Raises:
        ValueError: unknown model or method.
    """
    readings, method = readings_of(model), method or (ALONE if is_transformer(model) else DEFAULT)
    weights = [_weights(reading, len(find_method(method).kinds)) for reading in readings]
    rows = []
    for n in tqdm(counts, desc=f"{method} at {model}"):
        parts = pd.DataFrame([_times(method, *each, n) for each in zip(readings, weights, strict=True)])
        found = parts.sum()
        total, floor, naive = found["statistics"] + found["solve"], found["floor"], found["naive"]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        seconds = (found["statistics"], found["solve"], total, floor, total / floor, naive, naive / total)
        rows.append((model, method, n, *seconds, memory))
    times = ["statistics", "solve", "total", "floor", "× floor", "naive", "naive ÷ total"]
    return pd.DataFrame(rows, columns=["model", "method", "n", *times, "GB"])


def families(n: int, method: str | None = None) -> pd.DataFrame:
    """Time one edit at the shapes of every family, beside what it edits.

    Args:
        method: None: the default of each.

    Returns:
        a row a family: text ``width``, ``matrices``, ``rows``, ``threads``, and the columns of ``benchmark``.
    """
    rows = []
    for model in [*shapes.SHAPES, *shapes.TRANSFORMERS, *shapes.FIRST]:
        if model == "tiny":
            continue
        readings = readings_of(model)
        size: dict[str, Any] = {
            "width": " + ".join(str(reading.width) for reading in readings),
            "matrices": sum(reading.times * len(reading.rows) for reading in readings),
            "rows": sum(reading.times * sum(reading.rows) for reading in readings),
            "threads": torch.get_num_threads(),
        }
        table = benchmark(model, method, [n])
        for place, (name, value) in enumerate(size.items(), start=1):
            table.insert(place, name, value)
        rows.append(table)
    return pd.concat(rows, ignore_index=True)
