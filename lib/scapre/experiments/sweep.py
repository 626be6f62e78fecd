"""Many edits, each judged by its pictures: resumable, measured once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from scapre.concepts.emoji import decode, encode_png, read_pictures
from scapre.experiments.case import UNEDITED as UNEDITED  # notebooks take both from here
from scapre.experiments.case import Case as Case
from scapre.experiments.case import edit, measure, stage
from scapre.paths import data_folder
from scapre.pictures.evaluation import assess, draw
from scapre.pool import scatter
from scapre.workbook.workbook import Workbook

POINTS = 7.0  # percentage points: three of 48 pictures
#: what a recomputed row is compared by, with the difference allowed
CHECKED = {"preserve": POINTS, "bystander": POINTS, "drift": 0.01, "residual": 0.01, "retained_drift": 0.01}
CHECKED |= {"digits": 1.0}  # of two edits that agree (``requests.Agreement``)
CHECKED |= {"hits": 25.0}  # two of eight pictures (``stress.matrix.Attack``)


def _measure(job: tuple[Case, Path]) -> dict[str, float]:
    return measure(*job)


def run_sweep(
    cases: Sequence[Case],
    folder: Path,
    *,
    known: Mapping[str, dict[str, float]] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Measure every case, those ``known`` or already in ``folder`` without work, the others side by side.

    Args:
        known: numbers of cases by key (see ``published_numbers``).
        workers: processes; None: one a core.
        scheduler: address of a Dask scheduler instead (see ``pool.scatter``).

    Returns:
        one row a case, in order: its labels, ``case`` (the key), its numbers.
    """
    known = known or {}
    missing = {c.key: c for c in cases if c.key not in known and not (folder / f"{c.key}.json").is_file()}
    done = scatter(_measure, [(c, folder) for c in missing.values()], workers=workers, scheduler=scheduler)
    list(tqdm(done, total=len(missing), desc="cases", disable=not missing, mininterval=10))  # they are on disk
    return tabulate((case, known.get(case.key) or measure(case, folder)) for case in cases)


def published_numbers(cases: Sequence[Case], table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Read back from a table of ``run_sweep`` what it says of these cases, by key; nothing where it has no keys."""
    if "case" not in table:
        return {}
    labels = {"case", *(name for case in cases for name in case.labels)}
    rows = table.drop_duplicates("case").set_index("case")
    numbers = rows[[name for name in rows.columns if name not in labels]]
    found = numbers.loc[numbers.index.intersection([case.key for case in cases])]
    return {str(key): {str(k): v for k, v in row.dropna().items()} for key, row in found.iterrows()}


def tabulate(results: Iterable[tuple[Case, dict[str, float]]]) -> pd.DataFrame:
    """One row a case: labels, ``case``, numbers."""
    return pd.DataFrame([{**case.labels, "case": case.key, **found} for case, found in results])


def check_sample(cases: Sequence[Case], published: pd.DataFrame, count: int, seed: int = 0) -> pd.DataFrame:
    """Recompute a few published rows from nothing and set them beside what was published.

    Args:
        published: a table of ``run_sweep``.
        count: rows, chosen by ``seed``.

    Returns:
        columns ``case, measure, published, now, difference, agrees``: accuracies in points, which may
        differ by ``POINTS`` since other processors round differently; drift and residuals by 0.01.

    Raises:
        ValueError: the published table was made from other cases (model, settings or pictures changed).
    """
    table = published.set_index("case")
    missing = [case for case in cases if case.key not in table.index]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(cases)} cases are not in the published table, for example {missing[0].labels}: "
            "model, settings or pictures changed; run this notebook with `--profile full`"
        )
    chosen = np.random.default_rng(seed).choice(len(cases), size=min(count, len(cases)), replace=False)
    rows = []
    with TemporaryDirectory() as fresh:
        for case in (cases[i] for i in sorted(chosen)):
            old = table.loc[[case.key]].iloc[0]
            for name, now in measure(case, Path(fresh)).items():
                if name in CHECKED or name.startswith("unlearn"):
                    apart = abs(now - old[name])
                    rows.append((case.key, name, old[name], now, apart, apart <= CHECKED.get(name, POINTS)))
    return pd.DataFrame(rows, columns=["case", "measure", "published", "now", "difference", "agrees"])


def results(
    book: Workbook, cases: Sequence[Case], name: str, *, profile: str = "default", checked: int = 2, **where: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hand a notebook the table of its experiment, and proof that it repeats.

    The profile ``full`` measures every case that the published table does not hold (its key knows
    the model, the settings and the pictures, not the code: remove the table to measure all anew) and
    publishes the table; ``**where`` goes to ``run_sweep``, the scheduler is ``$SCAPRE_SCHEDULER``
    unless given. Any other profile reads the published one. Either recomputes ``checked`` rows from nothing.

    Returns:
        the table, also written to the book; and ``check_sample`` of it.

    Raises:
        FileNotFoundError: nothing is published yet.
    """
    path = data_folder() / "results" / book.name / f"{name}.csv"
    published = pd.read_csv(path) if path.is_file() else None
    if profile == "full":
        where = {"scheduler": os.environ.get("SCAPRE_SCHEDULER") or None} | where
        known = {} if published is None else published_numbers(cases, published)
        table = run_sweep(cases, data_folder() / "cache" / "sweeps", known=known, **where).round(4)
    elif published is None:
        raise FileNotFoundError(f"{path.name} of {book.name} is not published; run it with `--profile full`")
    else:
        table = published
    return book.table(table, name), check_sample(cases, table, checked, book.seed)


def drawn_results(
    book: Workbook, cases: Sequence[Case], name: str, *, profile: str = "default"
) -> tuple[pd.DataFrame, Tensor]:
    """Hand a notebook the pictures of its cases: drawn under ``full``, but for those the published table holds by key.

    Returns:
        the cases' plans with ``method``, ``seen`` and ``right``, one row a picture, and the
        pictures, uint8 ``(N, H, W, 3)``.

    Raises:
        FileNotFoundError: nothing is published yet.
    """
    path = data_folder() / "results" / book.name / f"{name}.parquet"
    published = read_pictures(path) if path.is_file() else None
    if profile == "full":
        held = dict(iter(published.groupby("case"))) if published is not None and "case" in published else {}
        parts = [held[c.key].head(len(c.pictures)) if c.key in held else _judged(c) for c in cases]
        labelled = [part.assign(method=c.method, **c.labels) for c, part in zip(cases, parts, strict=True)]
        table = book.pictures(pd.concat(labelled, ignore_index=True), name)
    elif published is not None:
        table = published
    else:
        raise FileNotFoundError(f"{path.name} of {book.name} is not published; run it with `--profile full`")
    return table.drop(columns="png"), torch.from_numpy(np.stack([decode(png) for png in table["png"]]))


def _judged(case: Case) -> pd.DataFrame:
    """Edit and draw a case: its plan with the judge's word and every picture as PNG."""
    pipe, judges = stage(case.model)
    patch = edit(case, pipe)
    with patch.applied(pipe) if patch else nullcontext():
        images = draw(pipe, case.pictures, progress=False)
    judged = assess(pipe, judges, case.pictures, images)[["concept", "style", "seed", "side", "seen", "right"]]
    return judged.assign(case=case.key, png=[encode_png(image.numpy()) for image in images])
