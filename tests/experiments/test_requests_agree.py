"""Edits held against each other: how many digits they share, and which cases ask that."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from scapre.experiments import requests
from scapre.experiments.case import Case
from scapre.experiments.requests import (
    BACK,
    ERASED,
    SAME,
    Agreement,
    agreement_cases,
    digits,
    never_cases,
    request_cases,
    revoke_cases,
)
from scapre.patch.patch import Patch
from toys import tiny_pipe

NOTHING = pd.DataFrame({"prompt": []})


def test_digits_are_those_of_the_change() -> None:
    old, new = torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    there = Patch({"unet.a": old}, {"unet.a": new}, {})
    near = Patch({"unet.a": old}, {"unet.a": new + torch.tensor([[0.0, 0.0], [0.002, 0.0]])}, {})
    assert digits(near, there) == pytest.approx(3.0, abs=1e-3)
    assert digits(there, there) == SAME


def test_joined_requests_agree_and_repeated_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_pipe()
    monkeypatch.setattr(requests, "stage", lambda: (pipe, None))
    found = {}
    for way in ("joined", "again"):
        case = Case("uce", ["cat", "dog", "rose"], NOTHING, ["boat"], labels={"size": 1, "order": 0})
        case, once = (replace(case, options={"size": size, "way": way}) for size in (1, 3))
        rows = agreement_cases([case, once])
        assert [row.labels["turned"] for row in rows] == [False, True]
        assert len({row.key for row in rows}) == 2
        found[way] = min(row.found(pipe, None)["digits"] for row in rows)  # type: ignore[arg-type]
        taken = Agreement(
            "uce", case.targets, NOTHING, case.retained, options=case.options | {"revoked": ["dog"]}, other=None
        )
        (held,) = never_cases([taken])
        assert held.other is not None
        assert held.other.targets == ["cat", "rose"]
        assert "revoked" not in held.other.options
        found[f"{way}, taken back"] = held.found(pipe, None)["digits"]  # type: ignore[arg-type]
    assert found["joined"] > 5
    assert found["joined, taken back"] > 5
    assert found["again"] < 3
    assert found["again, taken back"] < 3


def test_what_is_taken_back_is_drawn_beside_the_others() -> None:
    whole = request_cases({"uce": ["again"]}, 4, [1], [0], 6)
    before, after = revoke_cases(whole, 2, [0, 1])
    assert (before.labels["state"], after.labels["state"]) == (ERASED, BACK)
    assert before.key != after.key
    assert before.pictures.equals(after.pictures)
    sides = before.pictures.groupby("side")["concept"].unique()
    assert sides["revoked"].tolist() == [whole[0].targets[2]] == after.options["revoked"]
    assert whole[0].targets[2] not in sides["unlearn"]
    assert (before.pictures["side"] == "revoked").sum() == 12
