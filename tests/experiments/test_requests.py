"""Requests over time as cases of a sweep: the same targets and pictures, in other portions and ways."""

from __future__ import annotations

import pandas as pd
import torch
from scapre.experiments.case import Case, edit
from scapre.experiments.requests import request_cases
from toys import tiny_pipe


def test_only_portions_and_ways_differ() -> None:
    cases = request_cases({"staged": ["joined"], "uce": ["again", "remedied"]}, 4, [1, 4], [0], 6)
    told = {(case.method, case.labels["way"], case.labels["size"]) for case in cases}
    ways = [("staged", "joined"), ("uce", "again"), ("uce", "remedied")]
    assert told == {(*way, size) for way in ways for size in (1, 4)}
    assert len({case.key for case in cases}) == len(cases)
    assert len({tuple(case.targets) for case in cases}) == 1
    assert all(case.pictures.equals(cases[0].pictures) for case in cases)


def test_a_sweep_meets_requests_as_the_case_says() -> None:
    pipe, nothing = tiny_pipe(), pd.DataFrame({"prompt": []})
    patches = {
        size: edit(Case("uce", ["cat", "dog"], nothing, ["boat"], options={"size": size, "way": "again"}), pipe)
        for size in (1, 2)
    }
    assert [patches[size].provenance["requests"] for size in (1, 2)] == [2, 1]
    assert any(not torch.equal(weight, patches[2].edited[name]) for name, weight in patches[1].edited.items())
