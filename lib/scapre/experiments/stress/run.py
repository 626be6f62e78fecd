"""Ask every probe of an edited model and of its controls; what was asked once is read the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize
from tqdm.auto import tqdm

from scapre.concepts.emoji import encode_png, load_emoji
from scapre.concepts.lists import read_concepts
from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import CannotApply, Found, Target
from scapre.experiments.stress.probes import chosen, find_probe
from scapre.experiments.stress.stage import NEVER, mark, models, targets_of
from scapre.files import replacing, write_text
from scapre.patch.patch import Patch
from scapre.pictures.evaluation import real_features
from scapre.pictures.judges import Judges

COLUMNS = ("model", "probe", "target", "seed", "prompt", "steps", "look", "wanted", "seen", "nearest", "hit", "note")


def stress(
    pipe: Any,
    patch: Patch,
    judges: Judges,
    budget: Budget,
    out: Path,
    *,
    probes: Sequence[str] = ("all",),
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Ask probes of a patch, of the unedited model, and of the one that never saw the concept where it is at hand.

    Args:
        pipe: the base model; it is as it was when the call returns.
        out: a folder; every probe of every model and target is kept there as soon as it is answered.
        probes: names of ``probes.PROBES``, or ``all``.

    Returns:
        one row a picture: ``COLUMNS``. ``hit``: the judge says the wanted word and, of objects, the nearest real
        emoji is of it. A probe that cannot apply has one row, whose ``note`` says why.

    Raises:
        ValueError: an unknown probe.
        CannotApply: the judge knows no target of the patch.
        PatchError: the patch does not fit the model.
    """
    names, targets = chosen(probes), targets_of(patch, pipe, budget, seed)
    unseen = set(read_concepts("unseen")["name"])
    asked = [
        (model, under, probe, target)
        for model, under in models(pipe, patch).items()
        for target in targets
        if model != NEVER or target.name in unseen
        for probe in names
    ]
    marks = {id(under): mark(under) for _, under, _, _ in asked}
    tables = []
    for model, under, probe, target in tqdm(asked, desc="probes", disable=not progress):
        key = _key(marks[id(under)], marks[id(pipe)] if id(pipe) in marks else mark(pipe), probe, target, budget, seed)
        table = answer(under, probe, target, budget, seed, judges, out, f"{probe}-{target.name}-{key}")
        tables.append(table.assign(model=model))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def answer(
    pipe: Any, probe: str, target: Target, budget: Budget, seed: int, judges: Judges, out: Path, name: str
) -> pd.DataFrame:
    """Ask one probe, judge its pictures, keep both; or read what was kept."""
    path = out / "answers" / f"{name.replace(' ', '-')}.json"
    if path.is_file():
        return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    try:
        found = find_probe(probe)(pipe, target, budget, seed)
        table = judged(judges, found).assign(note="")
        with replacing(out / "pictures" / f"{path.stem}.png") as partial:
            partial.write_bytes(encode_png(_strip(found.images)))
    except CannotApply as error:
        blank = {"prompt": "", "steps": 0, "look": "", "wanted": "", "seen": "", "nearest": "", "hit": False}
        table = pd.DataFrame([blank | {"note": str(error)}])
    table = table.assign(probe=probe, target=target.name, seed=seed)
    write_text(path, table.to_json(orient="records"))
    return table


def judged(judges: Judges, found: Found) -> pd.DataFrame:
    """Say of every picture what the judge sees and which real emoji is nearest in the judge's features."""
    verdicts = judges.verdicts(found.images)
    nearest = [_names()[i] for i in _nearest(judges.features(found.images), real_features(judges)).tolist()]
    table = found.table.assign(seen=verdicts["object"].to_numpy(), nearest=nearest)
    styles = table["look"] == "style"
    table.loc[styles, "seen"] = verdicts["style"].to_numpy()[styles]
    right = (table["seen"] == table["wanted"]) & (styles | (table["nearest"] == table["wanted"]))
    return table.assign(hit=right)


def _nearest(features: Tensor, real: Tensor) -> Tensor:
    return (normalize(features, dim=1) @ normalize(real, dim=1).T).argmax(1)


@cache
def _names() -> list[str]:
    """The concept of every real emoji, in the order of ``real_features``."""
    _, concepts, styles = load_emoji(32)
    return [concept for concept in concepts for _ in styles]


def _key(under: str, original: str, probe: str, target: Target, budget: Budget, seed: int) -> str:
    about = [under, original, probe, target.name, asdict(budget), seed, target.captions, target.unrelated_captions]
    about += [target.aliases, target.descriptions, target.others, target.styles]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]


def _strip(images: Tensor) -> Any:
    """Pictures side by side, twelve a row, white behind them."""
    rows = -(-len(images) // 12)
    filled = torch.cat([images, images.new_full((rows * 12 - len(images), *images.shape[1:]), 255)])
    return filled.unflatten(0, (rows, 12)).permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2).numpy()
