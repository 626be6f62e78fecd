"""One edit and the pictures it is judged by: measured once, keyed by what made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pandas as pd
import torch

from scapre.editing.erase import erase
from scapre.editing.sequence import in_requests
from scapre.experiments.behind import answers_behind
from scapre.experiments.gating import gate_rows
from scapre.files import write_text
from scapre.maths.linalg import NEARLY_SAME
from scapre.methods.registry import complete, find_method
from scapre.model.backbones import load_pipeline
from scapre.model.places import DIT, EMOJI, GUIDANCE, STEPS
from scapre.patch.patch import Patch
from scapre.paths import dit_folder, judge_folder, model_folder
from scapre.pictures.evaluation import trial
from scapre.pictures.judges import Judges, load_judges
from scapre.text.embeddings import remember_prompts
from scapre.text.gathering import nearest_names

UNEDITED = "unedited"


@lru_cache(maxsize=2)
def model_digest(model: str = EMOJI) -> str:
    """Hash the weights of a shipped model and the judges: results of another model have another key."""
    digest = hashlib.sha256()
    # emoji-dit draws by emoji-sd's autoencoder, and its text encoder never changes (``sentences.WEIGHTS``)
    for folder in (model_folder(), judge_folder(), *([dit_folder()] if model == DIT else [])):
        for path in sorted(folder.rglob("*.safetensors")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Case:
    """One edit of a shipped model and the pictures it is judged by.

    Attributes:
        method: a name of ``scapre.methods()``, or ``unedited``.
        targets: concepts to forget.
        retained: concepts named to keep.
        pictures: a plan with a column ``side`` (``evaluation.plan_sides``); none: diagnostics only.
        settings: what differs from the method's defaults.
        options: more arguments of ``erase`` (anchors, seed), of ``in_requests`` (size, way, revoked) or of ``edit``
            (part, gate, among).
        labels: columns that say which case this is; they do not enter the key.
        model: ``EMOJI`` or ``DIT``.
    """

    method: str
    targets: Sequence[str]
    pictures: pd.DataFrame
    retained: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    model: str = EMOJI

    @cached_property
    def key(self) -> str:
        """Hash of everything the result depends on: model, edit with all settings, pictures, sampler."""
        edit: list[Any] = [self.method]
        if self.method != UNEDITED:
            settings = complete(self.method, self.settings)
            edit += [settings, list(self.targets), list(self.retained), self.options]
            if find_method(self.method).matches and self.retained and "anchors" not in self.options:
                edit.append(f"matched anchors, cosine up to {NEARLY_SAME}")
        about = [model_digest(self.model), STEPS, GUIDANCE, edit, self.pictures.to_csv(index=False)]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    def found(self, pipe: Any, judges: Judges) -> dict[str, float]:
        """Edit, draw, judge: what ``measure`` returns."""
        found: dict[str, float] = {}
        start, used = perf_counter(), process_time()
        if patch := edit(self, pipe):
            found = {"seconds": perf_counter() - start, "processor": process_time() - used}
            found["moved"] = sum(int((weight != patch.original[name]).sum()) for name, weight in patch.changed.items())
            rows = patch.table("unet" if self.model == EMOJI else "transformer")
            if not rows and not len(self.pictures):
                rows = answers_behind(pipe, patch)
            facts = pd.DataFrame(rows).drop(columns="projection", errors="ignore").mean()
            found |= {str(name): float(value) for name, value in facts.items()}
        if len(self.pictures):
            found |= trial(pipe, judges, patch, self.pictures)
        return found


@lru_cache(maxsize=2)
def stage(model: str = EMOJI) -> tuple[Any, Judges]:
    """Load model and judges once a process."""
    torch.set_grad_enabled(False)
    pipe = load_pipeline(model)
    remember_prompts(pipe)
    return pipe, load_judges()


def measure(case: Case, folder: Path) -> dict[str, float]:
    """Find what a case asks for; the result is kept in ``folder`` and read from there the next time.

    Returns:
        of a plain case ``evaluation.trial``, the patch's mean diagnostics, numbers ``moved``, ``seconds`` and
        ``processor`` seconds.
    """
    path = folder / f"{case.key}.json"
    with suppress(OSError, ValueError):  # not measured yet, or its file is damaged
        return json.loads(path.read_text())
    found = case.found(*stage(case.model))
    write_text(path, json.dumps(found))
    return found


def edit(case: Case, pipe: Any) -> Patch | None:
    """Make the edit of a case; options ``part`` and ``gate``: see ``Patch.part``, ``gating.gate_rows``.

    The option ``among`` takes the anchors from so many of the first names to keep, the nearest each.
    """
    if case.method == UNEDITED:
        return None
    chosen = {"templates": "sentences", "progress": False, **case.options, **case.settings}
    part, gate, among = (chosen.pop(name, None) for name in ("part", "gate", "among"))
    if among is not None:
        chosen["anchors"] = nearest_names(pipe, case.targets, case.retained[:among], chosen["templates"])
    make: Any = in_requests if "way" in chosen else erase
    patch = make(pipe, case.targets, retained=case.retained, method=case.method, **chosen)
    return gate_rows(pipe, patch, *gate) if gate else patch if part is None else patch.part(part)
