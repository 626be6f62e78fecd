"""The matrix method × probe as cases: which are asked, what tells them apart, what comes back."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from scapre.concepts.lists import read_concepts
from scapre.experiments.cases import PUBLISHED, VALIDATED
from scapre.experiments.stress import matrix
from scapre.experiments.stress.matrix import ATTACKS, Attack, attack_cases, lessons
from scapre.experiments.stress.probe import CannotApply
from scapre.experiments.stress.remedy import cost_cases, gain_cases
from scapre.experiments.stress.stage import NEVER
from scapre.experiments.training import OWN

METHODS = {"unedited": PUBLISHED, "staged": PUBLISHED, "uce": VALIDATED, "esd": OWN}


def cases(asked: int, never: bool) -> list[Attack]:
    return attack_cases(METHODS, ["plain", "noise"], asked, [0, 1], never=never)


def test_every_method_forgets_what_the_control_never_saw() -> None:
    unseen = read_concepts("unseen").set_index("name")["category"]
    found = cases(5, False)
    assert len(found) == 4 * 5 * 2
    assert len({case.key for case in found}) == len(found)
    for case in found:
        assert list(case.targets) == unseen.index.tolist()
        assert case.labels["target"] in case.targets
        assert not set(case.retained) & set(case.targets)
        assert bool(case.retained) == (case.method != "unedited")
    assert Counter(unseen[case.labels["target"]] for case in found) == dict.fromkeys(unseen.unique(), 8)
    assert {case.labels["target"]: case.seed for case in found} == {
        case.labels["target"]: i // 2 % 2 for i, case in enumerate(found[:10])
    }
    settings = {case.method: bool(case.settings) for case in found}
    assert settings == {"unedited": False, "staged": False, "uce": True, "esd": True}


def test_a_control_costs_its_own_rows_and_more_targets_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {case.key for case in cases(2, False)}
    monkeypatch.setattr(matrix, "control_digest", lambda: "one")
    with_control = {case.key: case for case in cases(2, True)}
    assert before < set(with_control)
    assert {with_control[key].labels["method"] for key in set(with_control) - before} == {NEVER}
    assert before < {case.key for case in cases(3, False)}
    monkeypatch.setattr(matrix, "control_digest", lambda: "another")
    assert len(set(with_control) - {case.key for case in cases(2, True)}) == 4


def test_no_probe_of_the_matrix_trains() -> None:
    assert "plain" in ATTACKS
    assert {"inversion-4", "p4d", "ring-a-bell"} < set(ATTACKS)
    assert not [name for name in ATTACKS if name.startswith(("relearn", "unrelated"))]


def test_what_is_told_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases(1, False)[0]
    table = pd.DataFrame({"seen": list("aabb"), "wanted": "a", "hit": [True, False, False, False], "steps": 0})
    asked: list[Any] = []
    monkeypatch.setattr(matrix, "_target", lambda *about: about[0])
    monkeypatch.setattr(matrix, "_under_test", lambda case: "model")
    monkeypatch.setattr(matrix, "find_probe", lambda name: lambda *words: asked.append((name, *words)))
    monkeypatch.setattr(matrix, "judged", lambda judges, answer: table)
    judges: Any = SimpleNamespace()
    assert case.found(None, judges) == {"tries": 4, "hits": 25, "seen": 50}
    assert asked == [("plain", "model", case.concept, case.budget, 0)]

    monkeypatch.setattr(matrix, "judged", lambda judges, answer: table.assign(steps=[0, 0, 5, 5]))
    lesson = attack_cases(METHODS, ["relearn-full"], 1, [0], never=False)[0]
    found = lesson.found(None, judges)
    assert found == {"tries": 2, "hits": 0, "seen": 0, "after 0": 50, "after 5": 0}
    curve = lessons(pd.DataFrame([{**lesson.labels, **found}]))
    assert curve["steps"].tolist() == [0, 5]
    assert curve["relearn-full"].tolist() == [50, 0]

    def missing(name: str) -> Any:
        raise CannotApply("no other name is known")

    monkeypatch.setattr(matrix, "find_probe", missing)
    assert case.found(None, judges) == {"tries": 0}


def test_a_remedy_is_chosen_on_validation_concepts_alone() -> None:
    """Its edits differ by their settings, and probes ask the edits whose cost is told."""
    validation = set(read_concepts("validation")["name"])
    costs = cost_cases({"as it is": {}, "harder": {"halfway": 1000.0}}, 20, [0, 1], 30)
    assert [(case.labels["order"], case.labels["variant"]) for case in costs] == [
        (order, variant) for order in (0, 1) for variant in ("as it is", "harder")
    ]
    assert len({case.key for case in costs}) == 4
    gains = gain_cases(costs[:2], ["inversion-4"], 3, [0, 1])
    assert [case.seed for case in gains] == [0, 1, 0] * 2
    for case in (*costs, *gains):
        drawn = {*case.pictures["concept"]} if len(case.pictures) else {case.labels["target"]}
        assert drawn | set(case.targets) <= validation
        assert case.settings == ({} if case.labels["variant"] == "as it is" else {"halfway": 1000.0})
    assert len({case.key for case in gains}) == 6
