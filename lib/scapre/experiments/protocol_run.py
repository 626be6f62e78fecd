"""Run a published protocol: erase, draw, judge, and put the table beside the printed one. It resumes at every stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from scapre.editing.erase import erase
from scapre.experiments.protocols import HERE, Protocol
from scapre.files import write_text
from scapre.model.backbones import load_pipeline
from scapre.model.sampling import sample
from scapre.patch.patch import Patch
from scapre.pictures.farm import Studio, draw_list, own_device
from scapre.pictures.looking import PictureJudge
from scapre.pictures.places import GenerationError
from scapre.pictures.scoring import compare, score

UNEDITED = "unedited"
PATCH, PICTURES, TABLE = "patch.safetensors", "pictures", "table.csv"
TRIED = 2  # steps of the picture a dry run times


def run_protocol(
    protocol: Protocol,
    studio: Studio,
    methods: Sequence[str],
    judge: PictureJudge,
    out: str | Path,
    *,
    pictures: int | None = None,
    keep: Sequence[str] = (),
    seed: int = 0,
    batch: int = 4,
    workers: int | None = None,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Erase the protocol's targets with every method, draw, judge, and write ``table.csv``.

    What is there is not made again: ``out/METHOD/patch.safetensors`` and every picture of ``out/METHOD/pictures``; the
    table is made of them anew. CLIP scores printed elsewhere are over COCO captions, ours over what is kept.

    Args:
        protocol: see ``protocols.PROTOCOLS``.
        studio: the model, unedited.
        methods: names of ``scapre.methods()``, at their defaults.
        judge: see ``looking.load_judge``.
        out: the folder of the run.
        pictures: of each concept, or so many captions; None: the protocol's.
        keep: concepts named to keep, drawn as well unless the prompts were brought.
        seed: of the edits.
        batch, workers, scheduler: see ``farm.draw_list``.

    Returns:
        one row a method, the unedited model's first, with the columns of ``scoring.compare``, its intervals among
        them, and ``source``; the printed rows behind them.

    Raises:
        GenerationError: the folder holds another run, or pictures cannot be judged.
        ValueError: see ``erase``.
    """
    out, count = Path(out), pictures or protocol.pictures
    prompts = protocol.prompts(count, list(keep))
    judge.match(prompts["class"].tolist())  # refused before hours of drawing
    # captions have no classes
    retained = [name for name in dict.fromkeys([*prompts["class"], *keep]) if name and name not in protocol.targets]
    common: dict[str, Any] = {"steps": protocol.steps, "guidance": protocol.guidance, "batch": batch}
    common["samples"] = protocol.samples(count)
    for name in (UNEDITED, *methods):
        patch = None if name == UNEDITED else _patched(protocol, studio, name, out / name / PATCH, retained, seed)
        drawn = replace(studio, patch=str(patch.resolve()) if patch else None)
        draw_list(drawn, prompts, out / name / PICTURES, workers=workers, scheduler=scheduler, **common)
        score(out / name / PICTURES, judge)
    first, *rest = [out / name / PICTURES for name in methods]
    found = compare(first, [out / UNEDITED / PICTURES, *rest], judge, intervals=True)
    found.insert(0, "method", [methods[0], UNEDITED, *methods[1:]])
    found = found.drop(columns="folder").sort_values("method", key=lambda names: names != UNEDITED, kind="stable")
    table = pd.concat([found.assign(source=HERE), protocol.printed()], ignore_index=True)
    write_text(out / TABLE, table.to_csv(index=False, float_format="%.4f"))
    return table


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Write a table of ``run_protocol`` for people: numbers with their intervals as text, ``–`` where there is none."""
    shown = pd.DataFrame(index=table.index)
    for name, column in table.items():
        if str(name).endswith((" low", " high")):
            continue
        if not pd.api.types.is_float_dtype(column):
            shown[name] = column.fillna("–")
            continue
        shown[name] = column.map(lambda value: "–" if pd.isna(value) else f"{value:.2f}")
        if f"{name} low" in table:
            ends = table[[f"{name} low", f"{name} high"]].itertuples(index=False)
            shown[name] += ["" if pd.isna(low) else f" ({low:.1f}–{high:.1f})" for low, high in ends]
    return shown


def _patched(protocol: Protocol, studio: Studio, method: str, path: Path, retained: Sequence[str], seed: int) -> Path:
    """Take the edit of a method from the run's folder, or compute it."""
    asked = {"method": method, "targets": protocol.targets, "retained": list(retained), "seed": seed}
    if path.is_file():
        found = Patch.load(path).provenance
        differ = [key for key, value in asked.items() if found.get(key) != value]
        if differ:
            raise GenerationError(f"{path} is an edit of another run ({', '.join(differ)}); name another folder")
        return path
    pipe = load_pipeline(studio.model, device=own_device(studio.device), dtype=studio.dtype, variant=studio.variant)
    patch = erase(pipe, protocol.targets, retained=retained, method=method, seed=seed)
    patch.save(path, undo=False)
    return path


def estimate(
    protocol: Protocol, studio: Studio, methods: Sequence[str], *, pictures: int | None = None, keep: Sequence[str] = ()
) -> dict[str, float]:
    """Say what a run will take: one picture is drawn in two steps, timed, and not kept.

    Returns:
        ``pictures``, ``hours`` on one such device and ``gigabytes`` on disk, edits included.
    """
    count = pictures or protocol.pictures
    prompts = protocol.prompts(count, list(keep))
    total = len(prompts) * protocol.samples(count) * (len(methods) + 1)
    pipe = load_pipeline(studio.model, device=own_device(studio.device), dtype=studio.dtype, variant=studio.variant)

    def draw() -> Any:
        return sample(pipe, prompts["prompt"][:1].tolist(), [0], steps=TRIED, guidance=protocol.guidance)[0]

    draw()  # the first picture of a process is slow
    start = time.perf_counter()
    picture = draw()
    seconds = (time.perf_counter() - start) * protocol.steps / TRIED
    file = BytesIO()
    Image.fromarray(picture.numpy()).save(file, format="PNG")
    edit = 4 * sum(weight.numel() for name, weight in pipe.unet.named_parameters() if ".attn2.to_" in name)
    size = file.tell() * total + edit * len(methods)
    return {"pictures": total, "hours": total * seconds / 3600, "gigabytes": size / 1e9}
