"""Measure the denoiser that was never shown twenty concepts beside emoji-sd, and write its card."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.concepts.lists import read_concepts
from scapre.files import write_text
from scapre.model.backbones import load_control, load_pipeline
from scapre.model.places import GUIDANCE, STEPS
from scapre.paths import control_folder, data_folder
from scapre.pictures.evaluation import assess, draw, plan
from scapre.pictures.judges import load_judges
from scapre.pictures.metrics import proportion
from scapre.training.card import RUNS

CONTROL, EMOJI = "control", "emoji-sd"
SHOWN, NEVER = "shown to both", "never shown to the control"


def measure(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Draw every name in every style by the control and set it beside what emoji-sd's card published of the same plan.

    Args:
        quick: a tenth of the shown concepts, for a test.

    Returns:
        ``control``: one row a model and list of concepts, shares with their Wilson intervals; ``control_concepts``:
        one row a concept, what the control was taken to draw most often.
    """
    judges, unseen = load_judges(), read_concepts("unseen")["name"].tolist()
    names = [*(name for name in judges.objects if name not in unseen)][:: 10 if quick else 1] + unseen
    pipe, table = load_control(load_pipeline()), plan(names, list(STYLES), RUNS)
    judged = assess(pipe, judges, table, draw(pipe, table))
    each = judged.groupby("concept", sort=False).agg(
        object=("right", "mean"), style=("right_style", "mean"), seen=("seen", lambda seen: seen.mode().iloc[0])
    )
    each[["object", "style"]] *= 100
    published = pd.read_csv(data_folder() / "results" / "emoji-sd" / "concepts.csv", index_col="concept")
    rows = []
    for model, found in ((EMOJI, published), (CONTROL, each)):
        for said, asked in ((SHOWN, names[: -len(unseen)]), (NEVER, unseen)):
            total = len(asked) * len(STYLES) * len(RUNS)
            shares = [proportion(round(found.loc[asked, head].mean() / 100 * total), total) for head in HEADS]
            rows.append((model, said, len(asked), *shares[0], *shares[1], total))
    columns = [f"{head}{part}" for head in HEADS for part in ("", " low", " high")]
    summary = pd.DataFrame(rows, columns=["model", "concepts", "names", *columns, "pictures"])
    return {"control": summary, "control_concepts": each.reset_index()}


HEADS = ("object", "style")


def write_card(tables: dict[str, pd.DataFrame]) -> Path:
    """Write the tables as CSV and the card around them."""
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.4f")
        write_text(data_folder() / "results" / "emoji-sd" / f"{name}.csv", text)
    return write_text(control_folder() / "README.md", card_text(tables))


def card_text(tables: dict[str, pd.DataFrame]) -> str:
    """The card around the tables of ``measure``."""
    unseen = read_concepts("unseen")["name"].tolist()
    each = tables["control_concepts"].set_index("concept").loc[unseen]
    return CARD.format(
        steps=STEPS,
        guidance=GUIDANCE,
        runs=", ".join(map(str, RUNS)),
        drawing=tables["control"].to_markdown(index=False, floatfmt=".1f"),
        never=each.reset_index().to_markdown(index=False, floatfmt=".0f"),
    )


CARD = """---
license: mit
pipeline_tag: text-to-image
---
# control: emoji-sd's denoiser, never shown twenty of its concepts

The UNet of [emoji-sd](../emoji-sd/README.md) once more, from nothing, by the same recipe and seeds, without the
pictures of the twenty concepts of `data/concepts/unseen.csv`. It is what an erased model is measured against: how a
model behaves that does not know a concept, because it never did. Text encoder, autoencoder and judges are
emoji-sd's, and that text encoder was trained with all four hundred names: what is missing is the drawing, not the
word. Rebuild: `scapre train control`; measure: `scapre card --control`; `load_control` of `scapre.model.backbones`
puts it into the pipeline.

Measured with {steps} steps, `guidance={guidance}`, prompts "a picture of a {{concept}} in {{style}} style", picture
seeds from runs {runs}; shares in percent with their 95 % Wilson intervals; tables in
`data/results/emoji-sd/control*.csv`.

{drawing}

The twenty are not at chance, which among four hundred names is 0.25 %: the text encoder learned all names beside
their pictures, and names of things that look alike lie side by side in it, so some are drawn from their neighbours.
What is left in an edited model is therefore counted against the control's own share, never against zero. What it
draws when asked for them (`seen`: what the judge takes most of the six pictures for):

{never}

Its limits are emoji-sd's.
"""
