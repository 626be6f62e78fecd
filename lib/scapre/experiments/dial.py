"""The dial turned in advance: edits of several lists at several strengths, drawn once for readers without a kernel."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from scapre.concepts.emoji import read_pictures
from scapre.concepts.lists import read_concepts
from scapre.experiments.case import UNEDITED, Case, edit, stage
from scapre.experiments.cases import VALIDATED, operating_point, vocabulary
from scapre.methods.registry import ALONE, DEFAULT
from scapre.paths import data_folder
from scapre.pictures.evaluation import assess, draw, plan_sides
from scapre.workbook.workbook import Workbook

STYLES = ["fluent", "flat"]
SHOWN = 3  # concepts a side, each in both styles
QUALITY = 85  # of WebP: a sheet of 252 pictures in some hundred kilobytes
COLUMNS = ["concept", "style", "side", "seen", "confidence", "right"]


def dial_cases(
    methods: Sequence[str],
    lists: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    crowds: Sequence[int],
    order: int = 0,
) -> list[Case]:
    """Every method on every list of targets, each list's unedited pictures first; the label ``targets`` names the list.

    Every other concept is named to keep. Ours have their defaults, peers the settings best on the validation concepts.

    Args:
        lists: name → targets, and the concepts shown beside them; three targets are shown.
        crowds: numbers of targets drawn at random from the names experiments may use.
        order: seed of that choice, and of the pictures.
    """
    everything = read_concepts("emoji")["name"].tolist()
    mixed = np.random.default_rng(order).permutation(vocabulary()[0]).tolist()
    chosen = {name: (list(targets), list(beside)) for name, (targets, beside) in lists.items()}
    chosen |= {f"{n} concepts": (mixed[:n], mixed[-SHOWN:]) for n in crowds}
    cases = []
    for name, (targets, beside) in chosen.items():
        pictures = plan_sides({"unlearn": targets[:SHOWN], "preserve": beside}, STYLES, [order])
        kept = [concept for concept in everything if concept not in targets]
        for method in (UNEDITED, *methods):
            settings = {} if method in (DEFAULT, ALONE) else operating_point(method, VALIDATED)
            labels = {"targets": name, "erased": len(targets), "method": method}
            cases.append(Case(method, targets, pictures, kept, settings, labels=labels))
    return cases


def turn(cases: Sequence[Case], strengths: Sequence[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw and judge every case at every strength; the unedited pictures stand for strength 0.

    Returns:
        one row a picture: the labels, ``key`` (of its case), ``strength``, ``concept, style, side, seen, confidence,
        right``; and one row a list of targets: ``targets`` and ``webp``, a sheet of its pictures in the table's order,
        one case and strength below the other.
    """
    pipe, judges = stage()
    parts, drawn = [], dict[str, list[Tensor]]()
    for case in tqdm(cases, desc="dials"):
        patch = edit(case, pipe)
        for strength in _stops(case, strengths):
            with patch.scaled(strength).applied(pipe) if patch else nullcontext():
                images = draw(pipe, case.pictures, progress=False)
            judged = assess(pipe, judges, case.pictures, images)[COLUMNS]
            parts.append(judged.assign(**case.labels, key=case.key, strength=strength))
            drawn.setdefault(case.labels["targets"], []).append(images)
    sheets = [{"targets": name, "webp": _sheet(rows)} for name, rows in drawn.items()]
    return pd.concat(parts, ignore_index=True), pd.DataFrame(sheets)


def _stops(case: Case, strengths: Sequence[float]) -> list[float]:
    """Where the dial stops: an edit at no strength is the unedited model, which is drawn once a list."""
    return [0.0] if case.method == UNEDITED else [strength for strength in strengths if strength > 0]


def _sheet(rows: Sequence[Tensor]) -> bytes:
    """Rows of pictures, each uint8 ``(N, H, W, 3)``, as one WebP image ``(rows · H, N · W)``."""
    image = torch.cat([torch.cat(list(row), dim=1) for row in rows])
    out = io.BytesIO()
    Image.fromarray(image.numpy()).save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


def dial_results(
    book: Workbook, cases: Sequence[Case], strengths: Sequence[float], *, profile: str = "default"
) -> pd.DataFrame:
    """Hand a notebook the table of ``turn``; it and the sheets are written to ``dial.csv`` and ``dial.parquet``.

    The profile ``full`` draws the lists that the published table does not hold (see ``Case.key``), any other none.

    Raises:
        ValueError: a list is not published and the profile is another.
    """
    folder, lists = data_folder() / "results" / book.name, dict[str, list[Case]]()
    for case in cases:
        lists.setdefault(case.labels["targets"], []).append(case)
    parts, sheets, held = list[pd.DataFrame](), list[pd.DataFrame](), set[tuple[str, float]]()
    if (folder / "dial.parquet").is_file():
        parts, sheets = [pd.read_csv(folder / "dial.csv")], [read_pictures(folder / "dial.parquet")]
        held = set(zip(parts[0]["key"], parts[0]["strength"], strict=True))
    states = {name: {(case.key, s) for case in some for s in _stops(case, strengths)} for name, some in lists.items()}
    missing = [name for name in lists if not states[name] <= held]
    if missing and profile != "full":
        raise ValueError(f"the dial of {', '.join(missing)} is not published; run with `--profile full`")
    parts, sheets = ([frame[~frame["targets"].isin(missing)] for frame in frames] for frames in (parts, sheets))
    for name in missing:
        for frames, new in zip((parts, sheets), turn(lists[name], strengths), strict=True):
            frames.append(new)
    table, sheet = (pd.concat(frames).set_index("targets").loc[list(lists)].reset_index() for frames in (parts, sheets))
    book.pictures(sheet, "dial")
    return book.table(table, "dial")
