"""A folder of drawn pictures and a judge in; a table of numbers with intervals out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.names import same_name
from scapre.files import write_text
from scapre.pictures.looking import PairJudge, PictureJudge
from scapre.pictures.metrics import (
    frechet_distance,
    interval,
    mean_discrepancy,
    overall,
    proportion,
    unlearning_quality,
)
from scapre.pictures.places import LIST, SCORES, GenerationError, find_drawn
from scapre.pictures.record import erased, listing, read_record

log = logging.getLogger(__name__)
BATCH = 64  # pictures a judge sees at once
#: sides of a folder: the targets of its edit, and everything else
SIDES = ("unlearn", "preserve")


def judged(folder: str | Path, judge: PictureJudge, targets: set[str] | None = None) -> pd.DataFrame:
    """Judge every picture of a folder of ``generate``.

    Args:
        folder: complete, with classes that the judge knows.
        judge: see ``looking.load_judge``.
        targets: classes of the side ``unlearn``; None: the targets of the folder's own edit.

    Returns:
        the folder's list with the judge's columns and ``side``.

    Raises:
        GenerationError: not such a folder, pictures missing, damaged or of another size, or classes the judge does
            not know.
    """
    folder = find_drawn(folder)
    record = read_record(folder)
    table = pd.read_csv(folder / LIST, keep_default_na=False, dtype={"prompt": str, "class": str})
    names = judge.match(table["class"].drop_duplicates().tolist())
    renamed = {name: own for name, own in names.items() if own != [name]}
    if renamed:
        shown = "; ".join(f"{name} is {' or '.join(map(repr, own))}" for name, own in renamed.items())
        log.info("%s: %s", judge.about, shown)
    table = listing(table, record["samples"])
    files = [folder / name for name in table["file"]]
    if absent := sum(not f.is_file() for f in files):
        raise GenerationError(f"{absent} of {len(files)} pictures are missing in {folder}; run scapre generate again")
    rows, black = [], 0
    for start, pictures in _batches(files):
        black += sum(not picture.getbbox() for picture in pictures)
        rows.append(judge.look(pictures, table.iloc[start : start + BATCH]))
    if black:
        log.warning("%d pictures are black, as a safety checker or half precision leaves them; draw them anew", black)
    gone = table["class"].map(same_name).isin(erased(record) if targets is None else targets)
    sides = np.where(gone, *SIDES)
    return pd.concat([table, pd.concat(rows, ignore_index=True)], axis=1).assign(side=sides)


def score(folder: str | Path, judge: PictureJudge) -> pd.DataFrame:
    """Judge a folder of ``generate`` and write ``scores.csv`` into it.

    Returns:
        columns ``metric, value, low, high, pictures, judge`` (percent; 95 % intervals): of what the judge knows,
        accuracy on targets of the edit (``unlearn accuracy``, lower is better) and on other classes (``preserve
        accuracy``), their ``overall``, the CLIP score, and the share of ``explicit`` pictures.

    Raises:
        GenerationError: see ``judged``.
    """
    table = scores_of(judged(folder, judge)).assign(judge=judge.about)
    write_text(Path(folder) / SCORES, table.to_csv(index=False, float_format="%.4f"))
    return table


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    """Turn verdicts on pictures into ``metric, value, low, high, pictures``."""
    rows: list[tuple[str, float, float, float, int]] = []
    if "right" in table:
        sides = {}
        for side in SIDES:
            right = table["right"][table["side"] == side]
            if len(right):
                rows.append((f"{side} accuracy", *proportion(right.sum(), len(right)), len(right)))
                sides[side] = rows[-1][1]
        if len(sides) == len(SIDES):
            rows.append(("overall", overall(*sides.values()), np.nan, np.nan, len(table)))
    if "clip" in table:
        rows.append(("CLIP score", *interval(table["clip"]), len(table)))
    if "explicit" in table:
        rows.append(("explicit", *proportion(table["explicit"].sum(), len(table)), len(table)))
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "pictures"])


def compare(
    folder: str | Path, others: Sequence[str | Path], judge: PictureJudge, *, intervals: bool = False
) -> pd.DataFrame:
    """Put a folder beside others of the same prompts, by the targets of its edit.

    Args:
        folder: drawn under an edit.
        others: folders of other methods, the unedited model's first.
        intervals: tell ``… low`` and ``… high`` (95 %) of accuracies, CLIP score and explicit pictures as well.

    Returns:
        one row a folder: the ``value`` of every metric; ``UQ`` over all of them where the judge tells accuracy and CLIP
        score; ``FID`` and ``CMMD`` to the first of ``others`` where it has features. CLIP score, UQ and distances are
        of the classes that stay, and left out where none does. ``unlearn LPIPS`` and ``preserve LPIPS`` are mean
        distances to the same pictures of the first of ``others``.

    Raises:
        GenerationError: see ``judged``; no targets to compare by; or other prompts.
    """
    targets = erased(read_record(find_drawn(folder)))
    if not targets:
        raise GenerationError(f"{folder} was drawn without an edit; name the edited folder first, then --against it")
    rows, seen = [], {}
    folders = [Path(folder), *map(Path, others)]
    keys = ["case_number", "prompt", "k"]
    first: pd.DataFrame | None = None
    for place in folders:
        table = judged(place, judge, targets)
        first = table if first is None else first
        if not table[keys].equals(first[keys]):
            raise GenerationError(f"{place} holds pictures of other prompts than {folder}; draw the same list")
        stays = table[table["side"] == "preserve"]
        scores = scores_of(table).set_index("metric")
        scores = scores.drop(index="CLIP score", errors="ignore")
        if "clip" in stays and len(stays):
            scores = pd.concat([scores, scores_of(stays[["clip"]]).set_index("metric")])
        rows.append({"folder": str(place), **scores["value"]})
        for bound in ("low", "high") if intervals else ():
            rows[-1] |= {f"{metric} {bound}": at for metric, at in scores[bound].items() if at == at}
        seen[place] = _features([place / name for name in stays["file"]], judge)
    found = pd.DataFrame(rows)
    if {"unlearn accuracy", "CLIP score"} <= set(found):
        try:
            found["UQ"] = unlearning_quality(found["unlearn accuracy"].tolist(), found["CLIP score"].tolist())
        except ValueError as error:
            log.warning("no UQ: %s", error)
    features = {place: each for place, each in seen.items() if each is not None and len(each) > 1}
    if len(features) == len(folders):
        base = features[folders[1]]
        found["FID"] = [frechet_distance(base, features[place]) for place in folders]
        found["CMMD"] = [mean_discrepancy(base, features[place]) for place in folders]
    if isinstance(judge, PairJudge):
        for side in SIDES:
            names = table["file"][table["side"] == side].tolist()
            if names:
                found[f"{side} LPIPS"] = [_apart(place, folders[1], names, judge) for place in folders]
    return found.assign(judge=judge.about)


def _apart(folder: Path, base: Path, names: Sequence[str], judge: PairJudge) -> float:
    """Mean distance of pictures to those of the same names elsewhere."""
    if folder == base:
        return 0.0
    pairs = zip(*(_batches([place / name for name in names]) for place in (folder, base)), strict=True)
    return float(torch.cat([judge.apart(pictures, others) for (_, pictures), (_, others) in pairs]).mean())


def _features(files: list[Path], judge: PictureJudge) -> Tensor | None:
    parts = []
    for _, pictures in _batches(files):
        part = judge.features(pictures)
        if part is None:
            return None
        parts.append(part)
    return torch.cat(parts) if parts else None


def _batches(files: list[Path]) -> Iterator[tuple[int, list[Image.Image]]]:
    """Read pictures batch by batch.

    Raises:
        GenerationError: a file is damaged or of another size than the first.
    """
    size = None
    starts = range(0, len(files), BATCH)
    for start in tqdm(starts, desc="judging", disable=len(starts) < 4):
        pictures = []
        for file in files[start : start + BATCH]:
            try:
                with Image.open(file) as image:
                    pictures.append(image.convert("RGB"))
            except OSError as error:
                raise GenerationError(f"{file} is damaged; remove it and run scapre generate again") from error
            size = size or pictures[-1].size
            if pictures[-1].size != size:
                raise GenerationError(f"{file} has another size than {files[0].name}; draw the folder anew")
        yield start, pictures
