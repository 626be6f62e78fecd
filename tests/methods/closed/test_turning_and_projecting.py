"""Theorems of the peers of 2026: orthogonal concept erasure and double projections."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import double_projections_of_one, token_moment_by_prompt
from scapre.maths.linalg import leading_directions
from scapre.methods.closed.dp import dp_solver
from scapre.methods.closed.oce import nearest_rotation, oce_solver, token_moment
from scapre.text.statistics import ConceptStatistics
from toys import statistics, weight

OCE = {"erase_scale": 50.0, "prior_scale": 1.0, "retain_scale": 1.0, "ridge": 1.0}
DP = {"energy": 1.0, "damping": 0.0, "project": True}
shapes = settings(max_examples=25, deadline=None)


def projector(rows: torch.Tensor) -> torch.Tensor:
    return torch.linalg.pinv(rows) @ rows


def turn_of(s: ConceptStatistics, w0: torch.Tensor, as_released: bool, **values: float) -> torch.Tensor:
    """P of W = P W₀, for W₀ of full row rank."""
    return oce_solver(s, **OCE | values, as_released=as_released)(w0).weight @ torch.linalg.pinv(w0)


def objective(turn: torch.Tensor, s: ConceptStatistics, w0: torch.Tensor) -> torch.Tensor:
    """What OCE says it minimises, written out."""
    spanned, safe = projector(s.targets @ w0.T), projector(s.anchors @ w0.T)
    eye = torch.eye(len(w0), dtype=w0.dtype)
    moved = (turn - eye) @ w0
    kept = OCE["prior_scale"] * (moved @ token_moment(s) @ moved.T).trace()
    kept = kept + OCE["retain_scale"] * (moved @ s.retained.T).square().sum() + OCE["ridge"] * moved.square().sum()
    return kept - OCE["erase_scale"] * (turn @ spanned - (eye - safe)).square().sum()


# OCE


@pytest.mark.parametrize("as_released", [True, False])
def test_oce_turns_and_does_nothing_else(as_released: bool) -> None:
    s, w0 = statistics(m=3), weight(8, 12)
    turn = turn_of(s, w0, as_released)
    edited = oce_solver(s, **OCE, as_released=as_released)(w0).weight
    assert torch.allclose(turn.T @ turn, torch.eye(8, dtype=w0.dtype), atol=1e-10)
    assert torch.allclose(edited.T @ edited, w0.T @ w0, atol=1e-10)  # lengths and angles of all answers
    assert (edited - w0).norm() > 0.1 * w0.norm()


@shapes
@given(m=st.integers(1, 6), anchors=st.integers(1, 3), retained=st.integers(0, 4), seed=st.integers(0, 50))
def test_oce_is_the_best_rotation_of_its_objective(m: int, anchors: int, retained: int, seed: int) -> None:
    s, w0 = statistics(m, 12, retained, 4, min(anchors, m), seed), weight(7, 12, seed)
    best = objective(turn_of(s, w0, False), s, w0)
    g = torch.Generator().manual_seed(seed)
    draws = [torch.linalg.qr(torch.randn(7, 7, generator=g, dtype=w0.dtype))[0] for _ in range(8)]
    for other in (torch.eye(7, dtype=w0.dtype), *draws, turn_of(s, w0, True)):
        assert best <= objective(other, s, w0) + 1e-8


def test_the_released_orientation_is_the_other_way_round_and_worse_than_no_edit() -> None:
    s, w0 = statistics(m=1), weight(8, 12)
    none = objective(torch.eye(8, dtype=w0.dtype), s, w0)
    for scale, reversed_ in ((1.0, False), (50.0, True)):
        stated, released = (turn_of(s, w0, how, erase_scale=scale) for how in (False, True))
        assert (torch.linalg.det(stated) < 0) == reversed_
        assert torch.linalg.det(released) > 0
        assert torch.allclose(released[:, :-1], stated.T[:, :-1], atol=1e-9)
        assert torch.allclose(released[:, -1], (-1 if reversed_ else 1) * stated.T[:, -1], atol=1e-9)
    assert objective(released, s, w0) > none + 100 > objective(stated, s, w0) + 150


@pytest.mark.parametrize("as_released", [True, False])
def test_oce_breaks_when_targets_span_the_answers(as_released: bool) -> None:
    """Few targets leave what is outside their span nearly as it is; from d_out on all answers are reversed."""
    w0, moved = weight(16, 64), {}
    for m in (4, 15, 16, 40):
        s = statistics(m, 64, 1)
        solution = oce_solver(s, **OCE | {"erase_scale": 1e9}, as_released=as_released)(w0)
        turn = solution.weight @ torch.linalg.pinv(w0)
        assert solution.facts["spanned"] == min(m, 16) / 16
        rows = s.anchors if m >= 16 else torch.cat([s.targets, s.anchors])
        outside = torch.eye(16, dtype=w0.dtype) - projector(rows @ w0.T)
        moved[m] = float((turn @ outside - outside).norm() / outside.norm().clamp(min=1e-9))
        if m >= 16:  # one column may have been negated back
            assert torch.linalg.matrix_rank(turn @ outside + outside, tol=1e-4) <= int(as_released)
    assert moved[4] < 0.2
    assert min(moved[16], moved[40]) > 1.9


def test_repeated_anchors_span_one_direction() -> None:
    s, w0 = statistics(m=4), weight()
    assert len(s.anchors.unique(dim=0)) == 1
    solver = oce_solver(s, **OCE, as_released=True)(w0).weight
    expected = oce_solver(replace(s, anchors=s.anchors * torch.ones(4, 1)), **OCE, as_released=True)(w0).weight
    assert torch.equal(solver, expected)


def test_the_token_moment_leaves_padding_out() -> None:
    s = replace(statistics(retained=3, length=6), kept_last=torch.tensor([1, 3, 4]))
    assert torch.allclose(token_moment(s), token_moment_by_prompt(s.kept.double(), [1, 3, 4]), atol=1e-12)
    none = replace(s, kept=s.kept[:0], kept_last=s.kept_last[:0])
    assert torch.allclose(token_moment(none), s.blank[:2].T @ s.blank[:2] / 2)


@shapes
@given(st.integers(1, 8), st.integers(0, 50))
def test_the_nearest_rotation_beats_every_other(size: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    goal, other = (torch.randn(size, size, generator=g, dtype=torch.float64) for _ in range(2))
    other = torch.linalg.qr(other)[0]
    assert (nearest_rotation(goal) * goal).sum() >= (other * goal).sum() - 1e-10


# DP


@shapes
@given(retained=st.integers(0, 8), anchors=st.integers(1, 2), project=st.booleans(), seed=st.integers(0, 50))
def test_dp_of_one_target_is_the_published_formula(retained: int, anchors: int, project: bool, seed: int) -> None:
    s, w0 = statistics(1, 12, retained, 4, anchors, seed), weight(5, 12, seed)
    slow = double_projections_of_one(w0, s.targets[0], s.anchors, s.retained, project)
    assert torch.allclose(dp_solver(s, **DP | {"project": project})(w0).weight, slow, atol=1e-9)


def test_dp_answers_exactly_and_kept_concepts_do_not_move() -> None:
    s, w0 = statistics(6, 32, 20, anchors=2), weight(20, 32)
    change = dp_solver(s, **DP)(w0).weight - w0
    assert (change @ s.retained.T).norm() < 1e-8 * (w0 @ s.retained.T).norm()
    goal = s.targets @ projector(s.anchors)
    assert torch.allclose((w0 + change) @ s.targets.T, w0 @ goal.T, atol=1e-8)
    assert (change @ s.targets.T).norm() > 0.1 * (w0 @ s.targets.T).norm()
    # the smallest change that does both: its rows lie in the span of the targets' free parts
    aside = s.targets - s.targets @ projector(s.retained)
    assert torch.allclose(change @ projector(aside), change, atol=1e-8)


@pytest.mark.parametrize("energy", [0.3, 0.6, 0.9])
def test_dp_moves_what_it_does_not_protect_by_at_most_the_next_singular_value(energy: float) -> None:
    s, w0 = statistics(3, 32, 10), weight(20, 32)
    keep = leading_directions(s.retained, energy)
    change = dp_solver(s, **DP | {"energy": energy})(w0).weight - w0
    values = torch.linalg.svdvals(s.retained)
    held = values.square().cumsum(0) / values.square().sum()
    k = keep.shape[1]
    assert held[k - 1] >= energy - 1e-12
    assert k == 1 or held[k - 2] < energy
    assert (change @ keep).norm() < 1e-9
    bound = torch.linalg.matrix_norm(change, 2) * values[k]
    assert (change @ s.retained.T).norm(dim=0).max() <= bound + 1e-9
    assert (change @ s.retained.T).norm() > 1e-3


def test_dp_stands_still_when_kept_concepts_fill_the_space_and_damping_bounds_it_before() -> None:
    w0 = weight(20, 32)
    full = dp_solver(statistics(3, 32, 40), **DP)(w0)
    assert torch.allclose(full.weight, w0, atol=1e-12)
    assert full.facts["free"] == 0
    s = statistics(3, 32, 31)  # one direction left for three targets
    near, held = (dp_solver(s, **DP | {"damping": d})(w0).weight - w0 for d in (0.0, 1.0))
    assert held.norm() < 0.9 * near.norm()
    aside = s.targets - s.targets @ projector(s.retained)
    goal = w0 @ (s.targets @ projector(s.anchors) - s.targets).T

    def loss(change: torch.Tensor) -> torch.Tensor:
        return (change @ aside.T - goal).square().sum() + change.square().sum()

    wanted = held.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(wanted), wanted)
    assert (gradient @ projector(aside)).norm() < 1e-9


def test_an_anchor_is_taken_whole_or_as_the_targets_shadow_on_it() -> None:
    s, w0 = statistics(1, 12, 0), weight()
    whole, shadow = (dp_solver(s, **DP | {"project": p})(w0).weight @ s.targets[0] for p in (False, True))
    assert torch.allclose(whole, w0 @ s.anchors[0], atol=1e-9)
    scale = s.targets[0] @ s.anchors[0] / s.anchors[0].square().sum()
    assert torch.allclose(shadow, scale * whole, atol=1e-9)
