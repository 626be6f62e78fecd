"""How long an edit takes from import to patch, stage by stage: most of it is spent reading text.

A text encoder takes the same time for every sentence of one window, so each stage is timed on a few sentences at the
true shapes (``model.stand_in``) and told for all of them; what is solved is timed whole, or told from few.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.lists import sentences_of
from scapre.editing.bench import floor_products, random_statistics, random_weights
from scapre.maths.linalg import BLOCK, add_upper
from scapre.methods.closed.staged import key_edit
from scapre.methods.registry import build_solver, find_method
from scapre.methods.solution import Solver, diagnose
from scapre.model.shapes import find_encoder, find_shape
from scapre.model.stand_in import WORDS, stand_in, stand_in_names
from scapre.text.embeddings import encode
from scapre.text.inner import BATCH, key_sums, places_of
from scapre.text.store import readings
from scapre.text.vocabulary import SENTENCES

SAMPLE = BATCH  # sentences a stage is timed on: one batch, since some of the work is done once a batch
MANY = 2048  # sentences whose moments are added up
IMPORTS = "import scapre; scapre.erase; scapre.load_pipeline; import diffusers, transformers"


@dataclass(frozen=True)
class Timing:
    """Seconds by the clock and of the processor."""

    wall: float
    cpu: float

    def __mul__(self, count: float) -> Timing:
        """So many times."""
        return Timing(self.wall * count, self.cpu * count)

    def __add__(self, other: Timing) -> Timing:
        """One after the other."""
        return Timing(self.wall + other.wall, self.cpu + other.cpu)


NONE = Timing(0, 0)


def timed(job: Callable[[], Any]) -> Timing:
    """Run a job once."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])  # of children too
    job()
    return Timing(time.perf_counter() - wall, sum(os.times()[:4]) - cpu)


@dataclass(frozen=True)
class Units:
    """What one sentence costs: encoded, its keys added up, and the bare products of both; what a list costs once."""

    encode: Timing
    add: Timing
    encode_floor: Timing
    add_floor: Timing
    once: Timing


def squares(rows: Tensor) -> None:
    """The bare products of ``add_upper``."""
    for start in range(0, rows.shape[1], BLOCK):
        rows[:, start : start + BLOCK].T @ rows[:, start:]


@torch.no_grad()
def measure_units(pipe: Any, model: str, blocks: int, sample: int = SAMPLE) -> Units:
    """Time the text encoder of a pipeline on a few sentences."""
    (width, length, _), (layers, _, inner) = find_shape(model), find_encoder(model)
    prompts = stand_in_names(sample)
    rows, keys = torch.randn(sample * length, width), torch.randn(sample * length, inner)
    square, up, down = torch.randn(width, width), torch.randn(inner, width), torch.randn(width, inner)
    total = torch.zeros(inner, inner, dtype=torch.float64)

    def products(depth: int) -> None:
        for _ in range(depth):
            for _ in range(4):
                rows @ square
            rows @ up.T
            keys @ down.T

    def add() -> None:
        for _ in range(blocks):
            add_upper(total, keys)

    def nothing() -> None:
        with key_sums(pipe, places_of(pipe, blocks)):
            pass

    encode(pipe, prompts[:2], remembered=False)  # the first call of a process is slow
    jobs = (lambda: encode(pipe, prompts, remembered=False), add, lambda: products(layers), lambda: squares(keys))
    encoded, added, floor, square_floor = (timed(job) * (1 / sample) for job in jobs)
    return Units(encoded, added, floor, square_floor * blocks, timed(nothing))


@dataclass(frozen=True)
class Stage:
    """A stage of an edit: sentences read, time of a first edit and of a second with the same list, bare products."""

    stage: str
    sentences: int
    first: Timing
    second: Timing
    floor: Timing = NONE


def whole_way(
    model: str = "sd1", method: str = "staged", n: int = 50, kept: int = 500, *, sample: int = SAMPLE
) -> pd.DataFrame:
    """Time every stage of an edit with the method's own sentences, and of a second one: other targets, the same list.

    Args:
        n: targets.
        kept: concepts named to keep.
        sample: sentences a stage is timed on.

    Returns:
        one row a stage: ``stage, sentences``, seconds of the ``first`` and ``second`` edit, ``cpu`` and ``cpu_second``
        of the processor, ``floor`` and ``cpu_floor`` of the first (bare products; 0 where none are told),
        ``floor_second`` of what the second does anew, ``share`` of the first in percent; last the total.

    Raises:
        ValueError: unknown model or method, one that trains or prunes, or a model with several text encoders.
    """
    about = find_method(method)
    if about.whole:
        raise ValueError(f"{method} draws pictures; the benchmark times closed forms")
    layers, _, _ = find_encoder(model)
    share = len(sentences_of(about.templates))
    blocks = min(layers, int(about.defaults["blocks"])) if about.stages else 0
    bar = tqdm(total=4, desc=f"{method} at {model}, n = {n}")

    def step(job: Callable[[], Any]) -> Any:
        found = job()
        bar.update()
        return found

    begun = step(lambda: timed(lambda: subprocess.run([sys.executable, "-c", IMPORTS], check=True)))
    pipe = stand_in(model)
    units = step(lambda: measure_units(pipe, model, max(blocks, 1), sample))
    stages = [Stage("import", 0, begun, begun)]
    stages += step(lambda: list(_reading(pipe, units, n, kept, share, blocks)))
    stages.append(step(lambda: _timed_solve(model, method, n * share)))
    bar.close()
    rows = [
        (
            *(s.stage, s.sentences, s.first.wall, s.second.wall, s.first.cpu, s.second.cpu, s.floor.wall, s.floor.cpu),
            s.floor.wall if s.first == s.second else 0.0,  # else it comes from the disk
        )
        for s in stages
    ]
    names = ["stage", "sentences", "first", "second", "cpu", "cpu_second", "floor", "cpu_floor", "floor_second"]
    table = pd.DataFrame(rows, columns=names)
    table.loc[len(table)] = {"stage": "total"} | table.drop(columns="stage").sum().to_dict()
    table["share"] = 100 * table["first"] / table["first"].iloc[-1]
    told: dict[str, str | int] = {"model": model, "method": method, "n": n, "kept": kept}
    return table.assign(**told)[[*told, *table.columns]]


def _timed_solve(model: str, method: str, told: int) -> Stage:
    """Solve and describe every projection; moments of more than ``MANY`` sentences are told from so many."""
    (width, length, _), weights = find_shape(model), random_weights(model, method)
    statistics, times = random_statistics(min(told, MANY), width, length), max(1, told / MANY)
    found: list[Solver] = []

    def solve() -> None:
        for weight in weights:
            diagnose(weight, found[0](weight), statistics)

    moments = timed(lambda: found.append(build_solver(method, statistics, weights, {})))
    took = moments * times + timed(solve)
    return Stage("UNet", 0, took, took, timed(lambda: floor_products(statistics, weights)))


def _reading(pipe: Any, units: Units, n: int, kept: int, share: int, blocks: int) -> Iterator[Stage]:
    """Every stage that reads text; what lies on disk costs a second edit the hashes of its names."""
    store = timed(lambda: readings(pipe, stand_in_names(kept * share)))
    told, stay = n * share, kept * share
    yield Stage("targets", told, units.encode * told, units.encode * told, units.encode_floor * told)
    if not blocks:
        yield Stage("list to keep", stay, units.encode * stay, store, units.encode_floor * stay)
        return
    layers, words = pipe.text_encoder.config.num_hidden_layers, WORDS * len(SENTENCES)
    # features, contexts and keys of one run
    whole, floor = units.encode + units.add, units.encode_floor + units.add_floor
    yield Stage("list to keep", stay, whole * stay + units.once, store * 2, floor * stay)
    yield Stage("vocabulary", words, whole * words + units.once, store, floor * words)
    # every edited block once, and the anchors as far
    runs = 2 * blocks / layers
    inside = units.encode * told * runs
    yield Stage("targets inside", told, inside, inside, units.encode_floor * told * runs)
    solved, floor = (each * blocks for each in _timed_key_edit(pipe, told))
    yield Stage("text encoder", 0, solved, solved, floor)


def _timed_key_edit(pipe: Any, told: int) -> tuple[Timing, Timing]:
    """One ``key_edit`` at the encoder's shapes and its bare products, told from one batch of sentences."""
    config, window = pipe.text_encoder.config, pipe.tokenizer.model_max_length - 2
    sizes = config.intermediate_size, config.hidden_size
    kept = torch.eye(sizes[0], dtype=torch.float64)

    def edit(sentences: int) -> tuple[Timing, Timing]:
        keys, wishes = (torch.randn(sentences, window, size) for size in sizes)
        rows, wanted = keys.flatten(0, 1), wishes.flatten(0, 1)

        def products() -> None:
            squares(rows)
            wanted.T @ rows

        whole = timed(lambda: key_edit([(keys, wishes)], kept, ridge=0.1, retain_scale=12.0, count=sentences))
        return whole, timed(products)

    few = min(told, BATCH)
    whole, floor = edit(few)
    if few == told:
        return whole, floor
    alone, _ = edit(1)  # the factorisation, whatever their number
    return alone + (whole + alone * -1) * (told / few), floor * (told / few)
