"""Many edits, each judged by its pictures: resumable, keyed by what made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from scapre.concepts.emoji import decode, encode_png, read_pictures
from scapre.editing.erase import erase
from scapre.editing.sequence import in_requests
from scapre.experiments.gating import gate_rows
from scapre.files import write_text
from scapre.maths.linalg import NEARLY_SAME
from scapre.methods.registry import complete, find_method
from scapre.model.backbones import load_pipeline
from scapre.model.places import GUIDANCE, STEPS
from scapre.patch.patch import Patch
from scapre.paths import data_folder, judge_folder, model_folder
from scapre.pictures.evaluation import assess, draw, trial
from scapre.pictures.judges import Judges, load_judges
from scapre.pool import scatter
from scapre.text.embeddings import remember_prompts
from scapre.workbook.workbook import Workbook

UNEDITED = "unedited"
POINTS = 7.0  # percentage points: three of 48 pictures
#: what a recomputed row is compared by, with the difference allowed
CHECKED = {"preserve": POINTS, "bystander": POINTS, "drift": 0.01, "residual": 0.01, "retained_drift": 0.01}


@lru_cache(maxsize=1)
def model_digest() -> str:
    """Hash the weights of emoji-sd and its judges: results of another model have another key."""
    digest = hashlib.sha256()
    for folder in (model_folder(), judge_folder()):
        for path in sorted(folder.rglob("*.safetensors")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Case:
    """One edit of emoji-sd and the pictures it is judged by.

    Attributes:
        method: a name of ``scapre.methods()``, or ``unedited``.
        targets: concepts to forget.
        retained: concepts named to keep.
        pictures: a plan with a column ``side`` (``evaluation.plan_sides``); none: diagnostics only.
        settings: what differs from the method's defaults.
        options: more arguments of ``erase`` (anchors, seed), ``in_requests`` (size, way) or ``_edit`` (part, gate).
        labels: columns that say which case this is; they do not enter the key.
    """

    method: str
    targets: Sequence[str]
    pictures: pd.DataFrame
    retained: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Hash of everything the result depends on: model, edit with all settings, pictures, sampler."""
        edit: list[Any] = [self.method]
        if self.method != UNEDITED:
            settings = complete(self.method, self.settings)
            edit += [settings, list(self.targets), list(self.retained), self.options]
            if find_method(self.method).matches and self.retained and "anchors" not in self.options:
                edit.append(f"matched anchors, cosine up to {NEARLY_SAME}")
        about = [model_digest(), STEPS, GUIDANCE, edit, self.pictures.to_csv(index=False)]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _stage() -> tuple[Any, Judges]:
    """Load model and judges once a process."""
    torch.set_grad_enabled(False)
    pipe = load_pipeline()
    remember_prompts(pipe)
    return pipe, load_judges()


def measure(case: Case, folder: Path) -> dict[str, float]:
    """Edit, draw, judge; the result is kept in ``folder`` and read from there the next time.

    Returns:
        ``evaluation.trial``, the patch's mean diagnostics, numbers ``moved``, ``seconds`` and ``processor`` seconds.
    """
    path = folder / f"{case.key}.json"
    with suppress(OSError, ValueError):  # not measured yet, or its file is damaged
        return json.loads(path.read_text())
    pipe, judges = _stage()
    found: dict[str, float] = {}
    start, used = perf_counter(), process_time()
    if patch := _edit(case, pipe):
        found = {"seconds": perf_counter() - start, "processor": process_time() - used}
        found["moved"] = sum(int((weight != patch.original[name]).sum()) for name, weight in patch.changed.items())
        facts = pd.DataFrame(patch.table("unet")).drop(columns="projection", errors="ignore").mean()
        found |= {str(name): float(value) for name, value in facts.items()}
    if len(case.pictures):
        found |= trial(pipe, judges, patch, case.pictures)
    write_text(path, json.dumps(found))
    return found


def _edit(case: Case, pipe: Any) -> Patch | None:  # part: see ``Patch.part``; gate: ``gating.gate_rows``
    if case.method == UNEDITED:
        return None
    chosen = {"templates": "sentences", "progress": False, **case.options, **case.settings}
    part, gate = chosen.pop("part", None), chosen.pop("gate", None)
    make: Any = in_requests if "way" in chosen else erase
    patch = make(pipe, case.targets, retained=case.retained, method=case.method, **chosen)
    return gate_rows(pipe, patch, *gate) if gate else patch if part is None else patch.part(part)


def _measure(job: tuple[Case, Path]) -> dict[str, float]:
    return measure(*job)


def run_sweep(
    cases: Sequence[Case], folder: Path, *, workers: int | None = None, scheduler: str | None = None
) -> pd.DataFrame:
    """Measure every case, those already in ``folder`` without work, the others side by side.

    Args:
        workers: processes; None: one a core.
        scheduler: address of a Dask scheduler instead (see ``pool.scatter``).

    Returns:
        one row a case, in order: its labels, ``case`` (the key), its numbers.
    """
    jobs = [(c, folder) for c in {c.key: c for c in cases}.values() if not (folder / f"{c.key}.json").is_file()]
    done = scatter(_measure, jobs, workers=workers, scheduler=scheduler)
    list(tqdm(done, total=len(jobs), desc="cases", disable=not jobs, mininterval=10))  # the results are on disk
    return tabulate((case, measure(case, folder)) for case in cases)


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

    The profile ``full`` measures every case (``**where`` goes to ``run_sweep``; the scheduler is
    ``$SCAPRE_SCHEDULER`` unless given) and publishes the table. Any other profile reads the
    published one. Either recomputes ``checked`` rows from nothing.

    Returns:
        the table, also written to the book; and ``check_sample`` of it.

    Raises:
        FileNotFoundError: nothing is published yet.
    """
    if profile == "full":
        where = {"scheduler": os.environ.get("SCAPRE_SCHEDULER") or None} | where
        table = run_sweep(cases, data_folder() / "cache" / "sweeps", **where).round(4)
    else:
        path = data_folder() / "results" / book.name / f"{name}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"{path.name} of {book.name} is not published; run it with `--profile full`")
        table = pd.read_csv(path)
    return book.table(table, name), check_sample(cases, table, checked, book.seed)


def drawn_results(
    book: Workbook, cases: Sequence[Case], name: str, *, profile: str = "default"
) -> tuple[pd.DataFrame, Tensor]:
    """Hand a notebook the pictures of its cases: drawn under ``full``, else the published ones.

    Returns:
        the cases' plans with ``method``, ``seen`` and ``right``, one row a picture, and the
        pictures, uint8 ``(N, H, W, 3)``.

    Raises:
        FileNotFoundError: nothing is published yet.
    """
    path = data_folder() / "results" / book.name / f"{name}.parquet"
    if profile == "full":
        parts = [_judged(case).assign(method=case.method, **case.labels) for case in cases]
        table = book.pictures(pd.concat(parts, ignore_index=True), name)
    elif path.is_file():
        table = read_pictures(path)
    else:
        raise FileNotFoundError(f"{path.name} of {book.name} is not published; run it with `--profile full`")
    return table.drop(columns="png"), torch.from_numpy(np.stack([decode(png) for png in table["png"]]))


def _judged(case: Case) -> pd.DataFrame:
    """Edit and draw a case: its plan with the judge's word and every picture as PNG."""
    pipe, judges = _stage()
    patch = _edit(case, pipe)
    with patch.applied(pipe) if patch else nullcontext():
        images = draw(pipe, case.pictures, progress=False)
    judged = assess(pipe, judges, case.pictures, images)[["concept", "style", "seed", "side", "seen", "right"]]
    return judged.assign(png=[encode_png(image.numpy()) for image in images])
