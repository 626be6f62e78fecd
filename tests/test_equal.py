"""Equal forgetting: the constraint is met, by the weights a naive search finds."""

from __future__ import annotations

import pytest
import torch
from scapre.methods.equal import SPAN, equal_weights
from scapre.statistics import second_moment
from torch import Tensor
from toys import statistics


def scene(m: int = 5, d: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    s = statistics(m, d)
    base = 0.5 * torch.eye(d, dtype=torch.float64) + s.kept_gram
    return s.targets, s.targets - s.anchors, base


def left_by_solving(targets: Tensor, changes: Tensor, base: Tensor, eta: Tensor) -> Tensor:
    """What the edit leaves, from the normal equations over the whole text space."""
    system = base + targets.T @ torch.diag(eta) @ targets
    delta = -torch.linalg.solve(system, targets.T @ torch.diag(eta) @ changes).T
    return (changes + targets @ delta.T).norm(dim=1) / changes.norm(dim=1)


@pytest.mark.parametrize("m", [1, 5, 11, 30])
def test_what_is_left_agrees_with_the_normal_equations(m: int) -> None:
    targets, changes, base = scene(m)
    eta, left = equal_weights(targets, changes, base, 0.5)
    assert torch.allclose(left, left_by_solving(targets, changes, base, eta))


@pytest.mark.parametrize("goal", [0.1, 0.5, 0.9])
def test_every_target_keeps_the_goal(goal: float) -> None:
    _, left = equal_weights(*scene(), goal)
    assert left == pytest.approx(goal, rel=0.05)


def test_one_weight_for_all_meets_the_goal_on_average_alone() -> None:
    eta, left = equal_weights(*scene(), 0.5, each=False)
    assert eta.unique().numel() == 1
    assert float(left.mean()) == pytest.approx(0.5, rel=0.05)
    assert float(left.max()) > 0.55


def test_a_target_near_what_stays_weighs_more() -> None:
    targets = torch.eye(4, dtype=torch.float64)[:2]
    kept = torch.tensor([[0.99, 0.0, 0.1, 0.0]], dtype=torch.float64)
    base = 0.1 * torch.eye(4, dtype=torch.float64) + second_moment(kept[None])
    eta, left = equal_weights(targets, targets, base, 0.5)
    assert eta[0] > 5 * eta[1]
    assert left == pytest.approx(0.5, rel=0.05)


def test_a_goal_out_of_reach_ends_at_the_span() -> None:
    # the same features cannot answer two opposite ways
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    changes = torch.tensor([[0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    eta, left = equal_weights(targets, changes, torch.eye(2, dtype=torch.float64), 0.5)
    assert eta == pytest.approx(SPAN)  # alone each would need 1
    assert (left > 0.9).all()


def test_weights_follow_the_scale_of_the_base() -> None:
    targets, changes, base = scene()
    eta, left = equal_weights(targets, changes, base, 0.3)
    again, same = equal_weights(targets, changes, 7 * base, 0.3)
    assert torch.allclose(again, 7 * eta)
    assert torch.allclose(same, left)
