"""Method × probe: an edit of the concepts that the control never saw, asked by every probe, beside both controls.

Every cell is a case of a sweep (``experiments.sweep``): measured once, read the next time, so that another method,
target or control costs its own rows only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import cycle, product
from typing import Any

import pandas as pd

from scapre.concepts.lists import read_concepts
from scapre.experiments.case import UNEDITED, Case, edit, stage
from scapre.experiments.cases import operating_point
from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import CannotApply, Target
from scapre.experiments.stress.probes import PLAIN, PROBES, RELEARNING, find_probe
from scapre.experiments.stress.run import judged
from scapre.experiments.stress.stage import NEVER, emoji_target, twin
from scapre.experiments.training import DIFFER, chosen
from scapre.model.backbones import load_control
from scapre.paths import control_folder
from scapre.pictures.judges import Judges

#: what a probe may spend on one cell: four tries, 48 steps of one picture each of an attack that optimises
CELL = Budget("cell", 10, 4, 48, (2, 5, 10, 25), 1, 6)
#: the same of relearning: after each of these steps, of two pictures each
LESSON = Budget("lesson", 10, 4, 0, (2, 10, 30), 2, 6)
#: find too little in the unedited model within ``CELL`` to say anything of an edit: descriptions mean nothing to
#: emoji-sd, one learned vector wants more steps (0 of 12 pictures)
BLUNT = ("descriptions", "inversion-1")
#: every other probe that leaves the weights as they are
ATTACKS = tuple(name for name in PROBES if not name.startswith(RELEARNING) and name not in BLUNT)
#: begins the names of hits after so many steps of relearning
AFTER = "after "


@dataclass(frozen=True, eq=False)
class Attack(Case):
    """One probe of one concept, of a model that an edit left or of a control.

    Attributes:
        probe: a name of ``probes.PROBES``.
        concept: one of ``targets``.
        budget: what the probe may spend; ``targets`` of it is not read.
        seed: of every draw.
        never: whether the model under test is the one that never saw the concept; ``method`` is then ``unedited``.
    """

    probe: str = PLAIN
    concept: str = ""
    budget: Budget = CELL
    seed: int = 0
    never: bool = False

    @cached_property
    def key(self) -> str:
        """Hash of the edit or the control, the probe, and what it may spend."""
        about = [super().key, self.probe, self.concept, asdict(self.budget), self.seed]
        about += [control_digest()] if self.never else []
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]

    def found(self, pipe: Any, judges: Judges) -> dict[str, float]:
        """``tries``, and in percent of them ``hits`` (judge and nearest emoji) and ``seen`` (the judge alone).

        Of relearning after its last check, and ``after k``, the hits after every one. No tries: the probe cannot
        apply to the concept.
        """
        target = _target(self.concept, self.budget, self.seed, tuple(self.targets))
        try:
            answer = find_probe(self.probe)(_under_test(self), target, self.budget, self.seed)
        except CannotApply:
            return {"tries": 0.0}
        table = judged(judges, answer)
        curve: dict[str, float] = {}
        if self.probe.startswith(RELEARNING):
            curve = {f"{AFTER}{step}": 100 * float(part["hit"].mean()) for step, part in table.groupby("steps")}
            table = table[table["steps"] == table["steps"].max()]
        right = (100 * float(table["hit"].mean()), 100 * float((table["seen"] == table["wanted"]).mean()))
        return {"tries": float(len(table)), "hits": right[0], "seen": right[1], **curve}


def attack_cases(
    methods: Mapping[str, str],
    probes: Sequence[str],
    asked: int,
    seeds: Sequence[int],
    *,
    never: bool,
    budget: Budget = CELL,
) -> list[Attack]:
    """Every probe of every method's edit of all concepts of ``unseen.csv``, everything else named to keep.

    Args:
        methods: method → operating point, of ``cases.POINTS`` or ``training.DIFFER``; ``unedited`` is a control.
        asked: how many of the concepts are probed, one category after the other.
        seeds: each concept has one of them, in turn.
        never: ask the control that never saw them as well.
    """
    unseen = read_concepts("unseen")
    targets = unseen["name"].tolist()
    kept = [name for name in read_concepts("emoji")["name"] if name not in set(targets)]
    turn = unseen.groupby("category", sort=False).cumcount()
    shown = unseen.loc[turn.sort_values(kind="stable").index, "name"].tolist()[:asked]
    nothing, found = pd.DataFrame({"prompt": []}), []
    whose = [*((method, point, False) for method, point in methods.items()), *([(NEVER, "", True)] if never else [])]
    pairs = list(zip(shown, cycle(seeds), strict=False))
    for (name, point, unseeing), (concept, seed), probe in product(whose, pairs, probes):
        method = UNEDITED if unseeing else name
        settings = (
            {} if method == UNEDITED else chosen(method, point) if point in DIFFER else operating_point(method, point)
        )
        labels = {"method": name, "point": point, "target": concept, "probe": probe, "seed": seed}
        asks: dict[str, Any] = {"probe": probe, "concept": concept, "budget": budget, "seed": seed, "never": unseeing}
        named = () if method == UNEDITED else kept
        found.append(Attack(method, targets, nothing, named, settings, {}, labels, **asks))
    return found


def lessons(table: pd.DataFrame) -> pd.DataFrame:
    """Hits over steps of relearning.

    Args:
        table: of ``run_sweep`` over cases of probes that train.

    Returns:
        one row a method, concept and number of ``steps`` (0: untrained), a column of hits each probe.
    """
    checks = [name for name in table.columns if name.startswith(AFTER)]
    asked = ["method", "target", "seed"]
    told = table.melt([*asked, "probe"], checks, "steps", "rate")
    told["steps"] = told["steps"].str.removeprefix(AFTER).astype(int)
    wide = told.pivot(index=[*asked, "steps"], columns="probe", values="rate")
    return wide.reset_index().rename_axis(columns=None)


@lru_cache(maxsize=1)
def control_digest() -> str:
    """Hash of the control's weights; empty where it is not at hand."""
    files = sorted((control_folder() / "unet").glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() if files else ""


@lru_cache(maxsize=16)
def _target(concept: str, budget: Budget, seed: int, targets: tuple[str, ...]) -> Target:
    return emoji_target(concept, stage()[0], budget, seed, avoid=targets)


def _under_test(case: Attack) -> Any:
    """The model that a case asks; the same edit is made once for all probes that follow each other."""
    if case.never:
        return _control()
    plain = (case.method, json.dumps(case.settings), tuple(case.targets), tuple(case.retained))
    return _edited(*plain)


@lru_cache(maxsize=1)
def _control() -> Any:
    return load_control(stage()[0])


@lru_cache(maxsize=1)
def _edited(method: str, settings: str, targets: tuple[str, ...], retained: tuple[str, ...]) -> Any:
    pipe, _ = stage()
    patch = edit(Case(method, targets, pd.DataFrame(), retained, json.loads(settings)), pipe)
    if patch is None:
        return pipe
    edited = twin(pipe)
    patch.apply(edited)
    return edited
