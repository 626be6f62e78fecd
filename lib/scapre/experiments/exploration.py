"""One edit looked at from every side, as a pure function of the choices that make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from scapre.concepts.names import known
from scapre.editing.erase import erase
from scapre.maths.row_gates import relative_gate
from scapre.methods.closed.confined import confined_gate, matched_neutrals
from scapre.methods.closed.paper import target_information
from scapre.methods.closed.released import sampled_masks
from scapre.methods.registry import complete
from scapre.patch.patch import Patch
from scapre.pictures.evaluation import accuracy, assess, draw, plan
from scapre.pictures.judges import Judges
from scapre.text.embeddings import remember_prompts
from scapre.text.gathering import gather
from scapre.text.statistics import ConceptStatistics
from scapre.workbook.figures import draw_lines, line_ends
from scapre.workbook.grids import before_and_after
from scapre.workbook.labels import name_ends
from scapre.workbook.look import COLOURS, canvas, headline

TEMPLATES = "sentences"  # a bare word's edit leaves part of the concept standing inside a sentence
POINTS = 200  # of a curve over all rows
CONTEXTS, CHANGED = "contexts of the targets", "change of the weights"
GATE, CHANGE = "gate $m$", r"change $\Vert w-w_0\Vert/\Vert w_0\Vert$"


@dataclass(frozen=True)
class Choices:
    """Everything an exploration depends on; hashable, so that results can be remembered by it.

    Attributes:
        targets: concepts to forget.
        kept: concepts to draw beside them, named to keep.
        keep_all: name every other concept the judge knows as well.
        method: a name of ``scapre.methods()``.
        strength: s in [0, 1]; the edit is W₀ + s (W − W₀).
        settings: pairs of names and values that differ from the method's defaults.
        styles: in which every concept is drawn.
        seed: of the pictures, and of the methods that draw noise.
    """

    targets: tuple[str, ...]
    kept: tuple[str, ...] = ()
    keep_all: bool = True
    method: str = "confined"
    strength: float = 1.0
    settings: tuple[tuple[str, float], ...] = ()
    styles: tuple[str, ...] = ("fluent", "flat")
    seed: int = 0


@dataclass(frozen=True)
class Exploration:
    """What an edit does.

    Attributes:
        choices: what it was made from.
        drawn: uint8 ``(N, H, W, 3)`` before and after, targets first.
        judged: the tables of ``evaluation.assess`` for both.
        gates: ``share, value, kind``: every row of every projection, largest first.
        spectrum: ``index, value, kind``: singular values of the targets' contexts and of the change.
        diagnostics: one row a projection (see ``solution.diagnose``), at full strength.
    """

    choices: Choices
    drawn: tuple[Tensor, Tensor]
    judged: tuple[pd.DataFrame, pd.DataFrame]
    gates: pd.DataFrame
    spectrum: pd.DataFrame
    diagnostics: pd.DataFrame = field(repr=False)

    def recognised(self) -> dict[str, float]:
        """How often the judge names targets and kept concepts rightly after the edit, in percent."""
        target = self.judged[1]["concept"].isin(self.choices.targets)
        sides = {"targets": target, "kept": ~target}
        return {side: accuracy(self.judged[1][rows]) for side, rows in sides.items() if rows.any()}

    def pictures(self) -> Figure:
        """Lay the pictures out, left before and right after, the judge's word under each."""
        said = [f"{share:.0f} % of the {side}" for side, share in self.recognised().items()]
        title = f"After the edit the judge still names {' and '.join(said)}"
        return before_and_after(self.drawn, self.judged, self.choices.targets, title=title)

    def curves(self) -> Figure:
        """Draw the rows' gates and changes beside the spectra."""
        fig, (left, right) = canvas(1, 2, 3.1)
        colours = {GATE: COLOURS[0], CHANGE: COLOURS[1], CONTEXTS: COLOURS[2], CHANGED: COLOURS[1]}
        for ax, table, x, log in ((left, self.gates, "share", ""), (right, self.spectrum, "index", "xy")):
            draw_lines(ax, table, x=x, y="value", hue="kind", colours=colours, log=log)
        left.set(xlabel="rows, largest first (%)", ylim=(0, None), title="How far rows take part and change")
        right.set(xlabel="direction $i$", title=r"Singular values $\sigma_i$")
        change = self.gates.loc[self.gates["kind"] == CHANGE, "value"].median()
        energy = self.spectrum.loc[self.spectrum["kind"] == CHANGED, "value"].pow(2)
        few = int((energy.cumsum() < 0.99 * energy.sum()).sum()) + 1
        title = f"Half of the rows change by {100 * change:.0f} % or more; {few} directions carry 99 % of the change"
        headline(fig, title)
        tables = {left: (self.gates, "share"), right: (self.spectrum, "index")}
        ends = {ax: line_ends(table, x=x, y="value", hue="kind") for ax, (table, x) in tables.items()}
        name_ends(ends, colours)
        return fig


def explore(pipe: Any, judges: Judges, choices: Choices) -> Exploration:
    """Erase, draw and judge as chosen; the pipeline is left as it was.

    Raises:
        ConceptError: a concept the judge does not know, none to forget, or one in both lists.
        ValueError: unknown method, setting or style, or a strength outside [0, 1].
    """
    strange = sorted(set(choices.styles) - set(judges.styles))
    if strange or not choices.styles:
        raise ValueError(f"unknown styles {strange}; choose from {', '.join(judges.styles)}")
    known(choices.targets + choices.kept, judges.objects)
    others = [name for name in judges.objects if name not in choices.targets + choices.kept]
    retained = (*choices.kept, *(others if choices.keep_all else ()))
    settings: dict[str, Any] = dict(choices.settings)
    edit = {"method": choices.method, "seed": choices.seed, **settings}
    patch = erase(pipe, choices.targets, retained=retained, templates=TEMPLATES, progress=False, **edit)
    statistics = gather(pipe, choices.targets, retained=retained, templates=TEMPLATES)
    weakened = patch.scaled(choices.strength)
    pictures = plan(choices.targets + choices.kept, choices.styles, [choices.seed])
    drawn = []
    for state in (nullcontext(), weakened.applied(pipe)):
        with state:
            drawn.append(draw(pipe, pictures, progress=False))
    # after the edit is out again: judges read the unedited text encoder
    judged = [assess(pipe, judges, pictures, images) for images in drawn]
    shown = weakened.part("unet")
    return Exploration(
        choices,
        (drawn[0], drawn[1]),
        (judged[0], judged[1]),
        _rows(shown, statistics, choices.method, complete(choices.method, settings), choices.seed),
        _spectrum(shown, statistics),
        pd.DataFrame(patch.table()),
    )


def remembering(pipe: Any, judges: Judges, most: int = 32) -> Callable[[Choices], Exploration]:
    """Return ``explore`` for one model; the last ``most`` results are kept, and every encoded prompt."""
    remember_prompts(pipe)
    return lru_cache(most)(partial(explore, pipe, judges))


def gate_of(
    method: str, weight: Tensor, statistics: ConceptStatistics, settings: Mapping[str, float], seed: int
) -> Tensor | None:
    """Compute how far a method lets each row take part, ``(d_out,)`` in [0, 1]; None: it has no gate.

    For the released formulations, whose gates are random, one draw of them.
    """
    sigma, targets = settings.get("noise_sigma", 0.0), statistics.targets
    if method == "confined":
        neutrals = matched_neutrals(targets, statistics.retained, statistics.null)
        mask = {name: settings[name] for name in ("noise_sigma", "p", "temperature", "threshold")}
        return confined_gate(weight, targets, neutrals, **mask)
    if method == "scapre-paper":
        return relative_gate(target_information(weight, statistics, sigma))
    if method in ("scapre-scale", "scapre-basic"):
        stream = torch.Generator().manual_seed(seed)
        return sampled_masks(weight, statistics, stream, noise_sigma=sigma, power=settings["p"]).amax(0)
    return None


def _change(patch: Patch) -> dict[str, Tensor]:
    return {name: patch.edited.get(name, old).double() - old.double() for name, old in patch.original.items()}


def _rows(
    patch: Patch, statistics: ConceptStatistics, method: str, settings: Mapping[str, float], seed: int
) -> pd.DataFrame:
    weights = {name: weight.double() for name, weight in patch.original.items()}
    change = [d.norm(dim=1) / weights[name].norm(dim=1) for name, d in _change(patch).items()]
    gates = [gate_of(method, w, statistics, settings, seed) for w in weights.values()]
    share = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    parts = []
    for kind, values in ((GATE, [g for g in gates if g is not None]), (CHANGE, change)):
        if values:
            curve = torch.quantile(torch.cat(values), 1 - share)
            parts.append(pd.DataFrame({"share": 100 * share, "value": curve, "kind": kind}))
    return pd.concat(parts, ignore_index=True)


def _spectrum(patch: Patch, statistics: ConceptStatistics) -> pd.DataFrame:
    changes = torch.cat(list(_change(patch).values()))
    parts = []
    for kind, gram in ((CONTEXTS, statistics.gram), (CHANGED, changes.T @ changes)):
        values = torch.linalg.eigvalsh(gram).flip(0).clamp(min=0).sqrt()
        values = values[values > 1e-6 * values[0]]  # below, round-off of the squares
        parts.append(pd.DataFrame({"index": range(1, len(values) + 1), "value": values, "kind": kind}))
    return pd.concat(parts, ignore_index=True)
