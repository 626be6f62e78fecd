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

from scapre.methods.registry import build_solver, find_method
from scapre.methods.solution import Solver
from scapre.model.shapes import find_shape
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
    """Every projection a method edits, ``(d_out, d)`` float64 each, at a model's shapes."""
    width, _, blocks = find_shape(model)
    generator = torch.Generator().manual_seed(0)
    sizes = [d_out for d_out, number in blocks.items() for _ in range(2 * number)]
    weights = [torch.randn(d_out, width, generator=generator, dtype=torch.float64) / width**0.5 for d_out in sizes]
    # A method that edits to_v only has half of the matrices to solve.
    return weights[:: 3 - len(find_method(method).kinds)]


def floor_products(statistics: ConceptStatistics, weights: Sequence[Tensor]) -> None:
    """The products no solver avoids: the Gram of all contexts, and each weight into a basis and back."""
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


def benchmark(model: str = "sd1", method: str = "staged", counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Time statistics and solves of ``method`` at a model's shapes.

    Returns:
        one row a count: seconds of ``statistics`` and ``solve``, their ``total``, the
        ``floor`` measured in the same run and the ratio to it, ``naive`` seconds
        extrapolated from ``NAIVE_ROWS`` rows and the ratio, peak memory in GB.

    Raises:
        ValueError: unknown model or method.
    """
    (width, length, _), weights, rows = find_shape(model), random_weights(model, method), []
    for n in tqdm(counts, desc=f"{method} at {model}"):
        statistics = random_statistics(n, width, length)
        floor, _ = _timed(floor_products, statistics, weights)
        gather, solver = _timed(build_solver, method, statistics, weights, {})
        solve, _ = _timed(_solve_all, solver, weights)
        naive, _ = _timed(_naive, statistics, weights[0])
        naive *= sum(map(len, weights)) / NAIVE_ROWS
        total = gather + solve
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append((model, method, n, gather, solve, total, floor, total / floor, naive, naive / total, memory))
    times = ["statistics", "solve", "total", "floor", "× floor", "naive", "naive ÷ total"]
    return pd.DataFrame(rows, columns=["model", "method", "n", *times, "GB"])


def families(n: int, method: str = "staged") -> pd.DataFrame:
    """Time one edit at the shapes of every family, beside what it edits.

    Returns:
        a row a family: text ``width``, ``matrices``, ``rows``, ``threads``, and the columns of ``benchmark``.
    """
    rows = []
    for model in ("sd1", "sd2", "sdxl"):
        width, _, blocks = find_shape(model)
        size = {
            "width": width,
            "matrices": 2 * sum(blocks.values()),
            "rows": sum(2 * number * d_out for d_out, number in blocks.items()),
            "threads": torch.get_num_threads(),
        }
        table = benchmark(model, method, [n])
        for place, (name, value) in enumerate(size.items(), start=1):
            table.insert(place, name, value)
        rows.append(table)
    return pd.concat(rows, ignore_index=True)
