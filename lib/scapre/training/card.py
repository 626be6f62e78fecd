"""Measure emoji-sd and write its model card."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.emoji import STYLES, load_emoji
from scapre.concepts.lists import read_concepts
from scapre.editing.erase import erase
from scapre.files import write_text
from scapre.model.backbones import load_pipeline
from scapre.model.places import GUIDANCE, STEPS
from scapre.paths import data_folder, model_folder
from scapre.pictures.evaluation import assess, draw, plan, plan_sides, trial
from scapre.pictures.judges import Judges, load_judges, to_unit
from scapre.pictures.metrics import frechet_distance, interval, proportion
from scapre.text.embeddings import encode, remember_prompts
from scapre.training.judges import examine
from scapre.training.text import participation_ratio

RUNS = (101,)  # seeds of the card's pictures; training used none of them
TRIALS = {1: 12, 5: 4}  # random choices of n targets; three of every other n
DRAWN = 48  # pictures a side of a trial


def measure(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Measure everything the card reports.

    Args:
        quick: a tenth of the concepts and one order, for a test.
    """
    pipe, judges = load_pipeline(), load_judges()
    names = judges.objects[:: 10 if quick else 1]
    tables = {
        "text": text_geometry(pipe, judges.objects),
        "judges": judge_examination(judges),
    }
    pictures, per_concept = drawing(pipe, judges, names, RUNS[:1] if quick else RUNS)
    cases = ((True, "sentences", (10,)),) if quick else UCE_CASES
    uce = uce_behaviour(pipe, judges, cases, most=1 if quick else 20)
    return tables | {"drawing": pictures, "concepts": per_concept, "uce": uce}


def text_geometry(pipe: Any, names: list[str]) -> pd.DataFrame:
    """Participation ratio, mean cosine and energy per position of the bare names."""
    encoded = encode(pipe, names)
    features = encoded.features.double()
    unit = torch.nn.functional.normalize(features, dim=1)
    cosines = unit @ unit.T
    m = len(names)
    rows = {
        "participation ratio": participation_ratio(features).item(),
        "mean pairwise cosine": ((cosines.sum() - m) / (m * (m - 1))).item(),
    }
    for label, share in energy_shares(encoded.hidden, encoded.last).items():
        rows[f"energy share, {label}"] = share
    return pd.DataFrame(rows.items(), columns=["quantity", "value"])


def energy_shares(hidden: Tensor, last: Tensor) -> dict[str, float]:
    """Where concepts differ: centred energy up to the content token, at EOS, on padding."""
    energy = (hidden - hidden.mean(0)).square().sum(-1)
    step = torch.arange(hidden.shape[1]) - last[:, None]
    total = energy.sum()
    zones = {"content": step <= 0, "EOS": step == 1, "padding": step > 1}
    return {name: float((energy * zone).sum() / total) for name, zone in zones.items()}


def judge_examination(judges: Judges) -> pd.DataFrame:
    """Accuracy of the shipped judge on held-out augmentations of the real emoji."""
    images = to_unit(torch.from_numpy(load_emoji(32)[0]))
    right = examine(judges.judge, images, len(STYLES), seed=7)
    total = 4 * len(images)
    rows = [(k, *proportion(round(v * total), total)) for k, v in right.items()]
    return pd.DataFrame(rows, columns=["head", "accuracy", "low", "high"])


def drawing(pipe: Any, judges: Judges, names: list[str], runs: tuple[int, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Object and style accuracy by name and by alias, FID, speed; and accuracy of each concept."""
    table = plan(names, list(STYLES), runs)
    start = time.perf_counter()
    images = draw(pipe, table)
    speed = len(table) / (time.perf_counter() - start)
    judged = assess(pipe, judges, table, images)
    aliases = read_concepts("emoji").query("aliases != '' and name in @names")
    spoken = [(n, a) for n, more in zip(aliases["name"], aliases["aliases"], strict=True) for a in more.split("|")]
    other = plan([a for _, a in spoken], list(STYLES), runs[:1])
    other["concept"] = other["concept"].map({a: n for n, a in spoken})
    by_alias = assess(pipe, judges, other, draw(pipe, other))
    real = judges.features(torch.from_numpy(load_emoji(32)[0]))
    rows = [
        ("object, by name", *proportion(judged["right"].sum(), len(judged)), len(judged)),
        ("style, by name", *proportion(judged["right_style"].sum(), len(judged)), len(judged)),
        ("object, by alias", *proportion(by_alias["right"].sum(), len(by_alias)), len(by_alias)),
        ("style, by alias", *proportion(by_alias["right_style"].sum(), len(by_alias)), len(by_alias)),
        ("CLIP score", *interval(judged["clip"]), len(judged)),
        ("FID to the real emoji", frechet_distance(real, judges.features(images)), np.nan, np.nan, len(judged)),
        ("pictures a second", speed, np.nan, np.nan, len(judged)),
    ]
    each = judged.groupby("concept", sort=False)[["right", "right_style"]].mean().mul(100).reset_index()
    summary = pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "pictures"])
    return summary, each.rename(columns={"right": "object", "right_style": "style"})


#: UCE's cases: kept concepts in the objective, sentences of every concept, numbers of targets
UCE_CASES = (
    *((True, words, (1, 5, 10)) for words in ("name", "sentences", "styled")),
    (False, "name", (1, 5, 10, 20, 50, 100)),
)


def uce_behaviour(
    pipe: Any,
    judges: Judges,
    cases: Sequence[tuple[bool, str, Sequence[int]]] = UCE_CASES,
    most: int = 20,
    limit: int = DRAWN,
) -> pd.DataFrame:
    """Erase random targets by UCE at its published settings, with and without kept concepts.

    Preserve is relative to the unedited model on the same pictures, in percent.

    Args:
        most, limit: upper bounds on the trials of a case, and on the pictures a side of a trial.
    """
    remember_prompts(pipe)
    rows: list[tuple[bool, str, int, int, float, float]] = []
    unedited: dict[int, float] = {}
    counted = [(keep, words, n) for keep, words, counts in cases for n in counts]
    jobs = [(order, *case) for case in counted for order in range(min(most, TRIALS.get(case[2], 3)))]
    for order, keep, words, n in tqdm(jobs, desc="UCE behaviour"):
        mixed = np.random.default_rng(order).permutation(judges.objects).tolist()
        targets, kept = mixed[:n], mixed[n:] if keep else ()
        # The last hundred of an order are never targets.
        pictures = plan_sides({"unlearn": targets, "preserve": mixed[-100:]}, list(STYLES), (order,), limit)
        if order not in unedited:
            unedited[order] = trial(pipe, judges, None, pictures)["preserve"]
        patch = erase(pipe, targets, anchors="", retained=kept, templates=words, method="uce", progress=False)
        found = trial(pipe, judges, patch, pictures)
        rows.append((keep, words, n, order, found["unlearn"], 100 * found["preserve"] / unedited[order]))
    return pd.DataFrame(rows, columns=["kept", "templates", "n", "order", "unlearn", "preserve"])


def _with_intervals(uce: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval over trials, in words."""
    rows = []
    for (keep, words, n), part in uce.groupby(["kept", "templates", "n"]):
        spans = [interval(part[side]) for side in ("unlearn", "preserve")]
        rows.append((keep, words, n, len(part), *(f"{mean:.1f} ({low:.1f} … {high:.1f})" for mean, low, high in spans)))
    return pd.DataFrame(rows, columns=["kept", "templates", "n", "trials", "unlearn", "preserve"])


def write_card(tables: dict[str, pd.DataFrame]) -> Path:
    """Write the tables as CSV and the model card around them."""
    folder = data_folder() / "results" / "emoji-sd"
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.4f"))
    return write_text(model_folder() / "README.md", card_text(tables))


def card_text(tables: dict[str, pd.DataFrame]) -> str:
    """The model card around the tables of ``measure``."""
    weak = tables["concepts"].query("object < 50")["concept"].tolist()
    size = sum(p.stat().st_size for p in model_folder().rglob("*") if p.is_file()) / 2**20
    versions = ", ".join(f"{p} {version(p)}" for p in ("torch", "diffusers", "transformers"))
    return CARD.format(
        size=size,
        steps=STEPS,
        guidance=GUIDANCE,
        runs=", ".join(map(str, RUNS)),
        versions=f"Python {platform.python_version()}, {versions}",
        drawing=tables["drawing"].to_markdown(index=False, floatfmt=".2f"),
        judges=tables["judges"].to_markdown(index=False, floatfmt=".2f"),
        text=tables["text"].to_markdown(index=False, floatfmt=".3f"),
        uce=_with_intervals(tables["uce"]).to_markdown(index=False),
        weak=", ".join(weak) or "none",
    )


CARD = """---
license: mit
pipeline_tag: text-to-image
---
# emoji-sd: a miniature Stable Diffusion that draws emoji

A `StableDiffusionPipeline` (CLIP tokenizer and text encoder of width 384, UNet of 10 M parameters on 8×8
latents with cross-attention in every block, AutoencoderKL, DPM-Solver++), trained from nothing on 400 emoji in
six permissively licensed styles. It exists so that concept unlearning can be studied offline on two CPU cores.
`{size:.1f}` MB in float16 safetensors. Rebuild: `scapre build-data && scapre train all`; measure: `scapre card`.
Every draw of a rebuild is seeded and its tokenizer is the same every time, but the shipped one was trained before that:
it splits every caption alike and numbers <!--measured: scapre train text, 2026-11-26-->79 of its 2,078<!--/--> tokens
otherwise, so a rebuild is another model of this kind, not these weights to the bit.

Everything below was measured by `scapre card` with {steps} steps, `guidance={guidance}`, prompts
"a picture of a {{concept}} in {{style}} style", picture seeds from runs {runs}, on {versions}.
Intervals are 95 % (Wilson for shares, normal for means); the tables lie in `data/results/emoji-sd/`.

## What it draws

{drawing}

Concepts drawn right in fewer than half of their pictures: {weak}.
Speed is that of a machine busy with other work as well.

## What judges it

A convolutional classifier of object and style, trained on augmented real emoji, examined on held-out augmentations:

{judges}

## What its text space looks like

{text}

## Does it behave as Stable Diffusion does under a known edit?

UCE (λ = 0.5, η = ρ = 1, last content token, anchor ""), mean over random choices of targets with its 95 % interval
over choices. Unlearn is the object accuracy on targets; preserve is the accuracy on other concepts in percent of the
unedited model's on the same pictures. `kept` says whether all other concepts stand in the objective; `templates`
whether each concept is its bare name or several sentences, pooled (`scapre.concepts.lists.TEMPLATES`; UCE's own code
calls this prompt expansion).

{uce}

The behaviour that the literature reports is unlearn ≤ 15 and preserve ≥ 90 with kept concepts,
and <!--=card.decline-without-->steady decline<!--/--> without. With sentences in the styles that are drawn (`styled`)
it is <!--=card.styled-met-->met<!--/-->. Bare names <!--=card.bare-names-miss-->miss it<!--/-->: the last token of a
bare name answers nearly like its replacement after the edit, but in a sentence the concept is spread over the tokens
after it as well, and an edit of one token of one phrasing reaches those only in part. With 399 kept names in 384
dimensions nothing else is left free.

## Limits

It knows 400 things and six styles, at 32×32. It says nothing about people, scenes or photographs, and forgetting
in it is evidence about the mathematics of an edit, not about the safety of a large model.

The pictures it learned from are Noto Emoji (Apache-2.0), Fluent Emoji in three styles (MIT), Twemoji and
EmojiOne 2 (CC-BY-4.0); see `data/README.md`. The weights are MIT.
"""
