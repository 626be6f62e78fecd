"""Did an edit work, and what did it cost? Asked of the text path, and of pictures where a judge knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from scapre.concepts.emoji import STYLES
from scapre.concepts.lists import read_concepts, sentences_of
from scapre.concepts.names import same_name
from scapre.editing.guard import RESIDUAL_LIMIT, RETAINED_LIMIT
from scapre.model.projections import denoiser_of, read_projections
from scapre.patch.patch import Patch
from scapre.paths import data_folder
from scapre.pictures.evaluation import plan_sides, trial
from scapre.pictures.judges import Judges
from scapre.text.embeddings import encode_ends
from scapre.text.inputs import front_of, read_first, read_inputs, streams_of

UNLEARN, PRESERVE = 15.0, 80.0  # percent recognised: the workbook's bounds of forgotten and of kept
NEAREST, ALIKE = 3, 25  # neighbours a target; published edits that resemble this one
SHOWN = 12  # concepts a side whose pictures are drawn


@dataclass(frozen=True)
class Verdict:
    """What became of an edit.

    Attributes:
        forgotten: every target is gone: from the pictures where there are some, else from the text path.
        kept: the others stayed, measured likewise.
        sentence: both in words.
    """

    forgotten: bool
    kept: bool
    sentence: str


def check(
    pipe: Any, patch: Patch, *, synonyms: Mapping[str, Sequence[str]], neighbours: Sequence[str] | None = None
) -> pd.DataFrame:
    """Ask the text path of a base model what a patch does at each name.

        residual = ‖W c − W₀ c*₀‖ / ‖W₀ c₀ − W₀ c*₀‖,  drift = ‖W c − W₀ c₀‖ / ‖W₀ c₀‖

    with c₀ and W₀ before the edit, c and W after it (a text encoder may be edited too), c* of the target's anchor;
    root mean squares over the projections.

    Args:
        pipe: the base model.
        patch: the edit; it is undone again.
        synonyms: target → other names of it, which should be gone as well.
        neighbours: names that no list of the edit holds; None: the nearest of the vocabulary to each target.

    Returns:
        one row a name: ``kind`` (target, synonym, kept, neighbour), ``name``, ``of`` (the target of a synonym),
        ``residual`` (of targets and synonyms), ``drift``, ``ok``.

    Raises:
        PatchError, ValueError: the patch does not fit the pipeline.
    """
    about = patch.provenance
    anchor_of = dict(zip(about["targets"], about["anchors"], strict=True))
    rows = [("target", name, name) for name in about["targets"]]
    rows += [("synonym", name, target) for target in about["targets"] for name in synonyms.get(target, ())]
    rows += [("kept", name, "") for name in about["retained"]]
    named = {same_name(name) for _, name, _ in rows}
    if neighbours is None:
        neighbours = _nearest(pipe, about["targets"], named)
    rows += [("neighbour", name, "") for name in neighbours if same_name(name) not in named]
    names = [name for _, name, _ in rows]
    sentences = sentences_of(about["templates"])
    before, goal = _answers(pipe, names, sentences), _answers(pipe, list(anchor_of.values()), sentences)
    with patch.applied(pipe):
        after = _answers(pipe, names, sentences)
    place = {target: i for i, target in enumerate(anchor_of)}
    table = pd.DataFrame(rows, columns=["kind", "name", "of"])
    table["residual"] = [
        _ratio(after[i] - goal[place[of]], before[i] - goal[place[of]]) if of else float("nan")
        for i, of in enumerate(table["of"])
    ]
    table["drift"] = [_ratio(now - then, then) for now, then in zip(after, before, strict=True)]
    gone = table["residual"] <= RESIDUAL_LIMIT
    return table.assign(ok=gone.where(table["of"] != "", table["drift"] <= RETAINED_LIMIT))


def draw_sides(pipe: Any, judges: Judges, patch: Patch, table: pd.DataFrame) -> dict[str, float]:
    """Draw and judge some names of each kind under the edit: accuracy in percent by ``unlearn``, ``preserve``, ….

    Names that the judges do not know are left out.
    """
    known = {same_name(name): name for name in judges.objects}
    sides = {"unlearn": "target", "preserve": "kept", "bystander": "neighbour"}
    names = {
        side: [known[same_name(n)] for n in table["name"][table["kind"] == kind] if same_name(n) in known][:SHOWN]
        for side, kind in sides.items()
    }
    names = {side: some for side, some in names.items() if some}
    if "unlearn" not in names:
        return {}
    found = trial(pipe, judges, patch, plan_sides(names, list(STYLES)[:2], [0]))
    return {side: found[side] for side in names}


def usual(table: pd.DataFrame) -> dict[str, float]:
    """Look up what edits of this size did to pictures in the workbook's published tables (of emoji-sd).

    Returns:
        ``unlearn`` and ``preserve``, medians of the ``ALIKE`` edits nearest in residual and drift of kept concepts;
        empty without published tables, or when nothing was named to keep.
    """
    path = data_folder() / "results" / "10_scaling_curves" / "scaling.csv"
    drift = table["drift"][table["kind"] == "kept"].mean()
    if not path.is_file() or drift != drift:
        return {}
    published = pd.read_csv(path).dropna(subset=["residual", "retained_drift", "unlearn", "preserve"])
    residual = table["residual"][table["kind"] == "target"].mean()
    apart = (published["residual"] - residual).abs() + (published["retained_drift"] - drift).abs()
    seen = published.loc[apart.nsmallest(ALIKE).index, ["unlearn", "preserve"]].median()
    return {"unlearn": float(seen["unlearn"]), "preserve": float(seen["preserve"])}


def verdict(table: pd.DataFrame, drawn: Mapping[str, float]) -> Verdict:
    """Say whether the edit worked."""
    counts = table.groupby("kind")["ok"].agg(["sum", "count"])

    def told(kind: str) -> str:
        return f"{int(counts['sum'].get(kind, 0))} of {int(counts['count'].get(kind, 0))}"

    gone = bool(table["ok"][table["kind"] == "target"].all())
    stay = bool(table["drift"][table["of"] == ""].mean() <= RETAINED_LIMIT) if (table["of"] == "").any() else True
    text = f"forgotten in the text path: {told('target')} targets"
    text += f", {told('synonym')} synonyms" if "synonym" in counts.index else ""
    text += f"; held: {told('kept')} kept, {told('neighbour')} unnamed neighbours"
    if drawn:
        gone = drawn["unlearn"] <= UNLEARN
        stay = all(share >= PRESERVE for side, share in drawn.items() if side != "unlearn")
        text += f"; recognised in pictures: {', '.join(f'{side} {share:.0f} %' for side, share in drawn.items())}"
    said = {(True, True): "it worked", (True, False): "forgotten, but others are damaged"}
    end = said.get((gone, stay), "not forgotten" if stay else "not forgotten, and others are damaged")
    return Verdict(gone, stay, f"{end}: {text}.")


def synonyms_of(targets: Sequence[str]) -> dict[str, list[str]]:
    """Look other names of targets up in the vocabulary of emoji-sd."""
    table = read_concepts("emoji")
    known = dict(zip(table["name"].map(same_name), table["aliases"], strict=True))
    return {t: [n for n in known.get(same_name(t), "").split("|") if n] for t in targets}


def _answers(pipe: Any, names: Sequence[str], sentences: Sequence[str]) -> list[Tensor]:
    """Answers of all layers to each name's feature, mean over sentences: per name ``(Σ d_out,)`` float64."""
    if not names:
        return []
    said = [s.format(name) if name.strip() else name for name in names for s in sentences]
    front, weights = front_of(pipe), read_projections(denoiser_of(pipe))
    if front.plain:
        ends = {next(iter(front.groups)): encode_ends(pipe, said)}
    else:
        ends = {name: each.features for name, each in read_inputs(pipe, said).items()}
    features = {name: rows.unflatten(0, (-1, len(sentences))).mean(1).double() for name, rows in ends.items()}
    told = [
        features[stream] @ weights[f"{layer}.weight"].double().T
        for layers, some in streams_of(front.groups, list(ends)).items()
        for stream in some
        for layer in layers
    ]
    return list(torch.cat(told, dim=1))


def _nearest(pipe: Any, targets: Sequence[str], named: set[str]) -> list[str]:
    """The vocabulary's names that are most like the targets and that no list of the edit holds."""
    others = [name for name in read_concepts("emoji")["name"] if same_name(name) not in named]
    said = [*targets, *others]
    features = encode_ends(pipe, said) if front_of(pipe).plain else read_first(pipe, said).features
    # about their mean, as anchors are chosen: what all names share tells none apart
    features = torch.nn.functional.normalize(features - features[len(targets) :].mean(0), dim=1)
    alike = features[: len(targets)] @ features[len(targets) :].T
    places = alike.topk(min(NEAREST, len(others)), dim=1).indices.flatten().tolist()
    return [others[i] for i in dict.fromkeys(places)]


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part.norm() / whole.norm().clamp(min=torch.finfo(whole.dtype).tiny))
