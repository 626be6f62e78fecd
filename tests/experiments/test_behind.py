"""What is told of an edit that leaves the projections alone: the same numbers as of a solver's."""

from __future__ import annotations

import pytest
import scapre
import torch
from scapre.experiments.behind import answers_behind
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import read_projections
from scapre.patch.patch import Patch
from scapre.text.gathering import gather
from toys import tiny_pipe

TARGETS, NAMED = ["cat", "lemon"], {"anchors": ["dog", "sun"], "templates": "sentences"}


@pytest.mark.parametrize("kept", [["dog", "sun", "boat"], []])
def test_answers_behind_an_edited_encoder_are_those_of_its_features(kept: list[str]) -> None:
    pipe = tiny_pipe()
    how = {"retain_scale": 0.1, "as_released": False}
    patch = scapre.erase(pipe, TARGETS, retained=kept, method="emcid-closed", progress=False, **NAMED, **how)
    state = fingerprint(pipe.text_encoder.state_dict())
    rows = answers_behind(pipe, patch)
    assert fingerprint(pipe.text_encoder.state_dict()) == state
    before = gather(pipe, TARGETS, retained=kept, **NAMED)
    with patch.applied(pipe):
        now = gather(pipe, TARGETS, retained=kept, **NAMED)
    weights = read_projections(pipe.unet)
    assert [row["projection"] for row in rows] == list(weights)
    for row in rows:
        weight, goal = weights[row["projection"]].double(), before.targets - before.anchors
        missed = weight @ (now.targets - before.anchors).T
        assert row["drift"] == 0
        assert row["residual"] == pytest.approx(float(missed.norm() / (weight @ goal.T).norm()), rel=1e-4)
        assert row["residual"] < 1
        assert ("retained_drift" in row) == bool(kept)
        if kept:
            moved = weight @ (now.retained - before.retained).T
            assert row["retained_drift"] == pytest.approx(
                float(moved.norm() / (weight @ before.retained.T).norm()), rel=1e-3
            )


def test_an_edit_that_changes_nothing_leaves_every_answer() -> None:
    pipe = tiny_pipe()
    patch = scapre.erase(pipe, TARGETS, retained=["boat"], method="emcid-closed", progress=False, **NAMED)
    nothing = Patch(patch.original, patch.original, patch.provenance, {})
    for row in answers_behind(pipe, nothing):
        assert row["residual"] == pytest.approx(1, abs=1e-5)
        assert row["retained_drift"] == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(torch.tensor([row["residual"] for row in answers_behind(pipe, patch)])).all()
