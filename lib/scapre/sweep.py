"""Many edits, each judged by its pictures: resumable, keyed by what made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scapre.backbones import load_pipeline
from scapre.editing import erase
from scapre.evaluation import trial
from scapre.judges import Judges, load_judges
from scapre.methods.registry import complete
from scapre.paths import judge_folder, model_folder
from scapre.pool import scatter
from scapre.sampling import GUIDANCE, STEPS

UNEDITED = "unedited"


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
        options: further arguments of ``scapre.erase`` (anchors, templates, seed).
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
        about = [model_digest(), STEPS, GUIDANCE, edit, self.pictures.to_csv(index=False)]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _stage() -> tuple[Any, Judges]:
    """Load model and judges once a process."""
    torch.set_grad_enabled(False)
    return load_pipeline(), load_judges()


def measure(case: Case, folder: Path) -> dict[str, float]:
    """Edit, draw, judge; the result is kept in ``folder`` and read from there the next time.

    Returns:
        what ``evaluation.trial`` measures, the mean diagnostics of the patch, ``seconds`` of the edit.
    """
    path = folder / f"{case.key}.json"
    if path.is_file():
        return json.loads(path.read_text())
    pipe, judges = _stage()
    found: dict[str, float] = {}
    patch = None
    if case.method != UNEDITED:
        start = perf_counter()
        chosen = {"templates": "sentences", "progress": False, **case.options, **case.settings}
        patch = erase(pipe, case.targets, retained=case.retained, method=case.method, **chosen)
        found["seconds"] = perf_counter() - start
        facts = pd.DataFrame(patch.table()).drop(columns="projection").mean()
        found |= {str(name): float(value) for name, value in facts.items()}
    if len(case.pictures):
        found |= trial(pipe, judges, patch, case.pictures)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found))
    partial.replace(path)
    return found


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
    unique = {case.key: case for case in cases}
    jobs = [(case, folder) for case in unique.values() if not (folder / f"{case.key}.json").is_file()]
    done = scatter(_measure, jobs, workers=workers, scheduler=scheduler)
    for _ in tqdm(done, total=len(jobs), desc="cases", disable=not jobs, mininterval=10):
        pass  # the result is on disk
    return tabulate((case, measure(case, folder)) for case in cases)


def tabulate(results: Iterable[tuple[Case, dict[str, float]]]) -> pd.DataFrame:
    """One row a case: labels, ``case``, numbers."""
    return pd.DataFrame([{**case.labels, "case": case.key, **found} for case, found in results])


def check_sample(cases: Sequence[Case], published: pd.DataFrame, folder: Path, count: int, seed: int) -> pd.DataFrame:
    """Recompute a few published rows and set them beside what was published.

    Args:
        published: a table of ``run_sweep``.
        count: rows, chosen by ``seed``.

    Returns:
        columns ``case, measure, published, now, difference``, for every accuracy of the rows.

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
    for case in (cases[i] for i in sorted(chosen)):
        old = table.loc[[case.key]].iloc[0]
        for name, value in measure(case, folder).items():
            if name in old and name not in {"seconds", "clip", "fid", "condition"} and not name.endswith("_style"):
                rows.append((case.key, name, old[name], value, abs(value - old[name])))
    return pd.DataFrame(rows, columns=["case", "measure", "published", "now", "difference"])
