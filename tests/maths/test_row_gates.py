from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import information_at
from scapre.maths.row_gates import (
    entropy_of_rows,
    gaussian_information,
    relative_gate,
    sampled_information,
    soft_mask,
)


def test_sampled_information_counts_literally() -> None:
    g = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 40, 5, generator=g, dtype=torch.float64)
    for p, n, got in zip(positive, negative, sampled_information(positive, negative), strict=True):
        both = sorted([*p.tolist(), *n.tolist()])
        table = {}
        for y, side in ((1, p), (0, n)):
            for z in (0, 1):
                table[z, y] = (sum(int(a > both[4]) == z for a in side.tolist()) + 1e-8) / 10
        expected = sum(
            v * math.log(v / (sum(table[z, k] for k in (0, 1)) * sum(table[k, y] for k in (0, 1))))
            for (z, y), v in table.items()
        )
        assert abs(float(got) - expected) < 1e-12


def test_separated_classes_reach_the_ceiling() -> None:
    low, high = torch.zeros(1, 5) - torch.arange(5), torch.ones(1, 5) + torch.arange(5)
    assert abs(sampled_information(high, low).item() - math.log(2)) < 1e-6
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert abs(gaussian_information(one, zero, 0.01 * one).item() - math.log(2)) < 1e-12
    assert gaussian_information(one, one, one).item() == 0


def test_sampled_estimator_converges_to_the_exact_one() -> None:
    g = torch.Generator().manual_seed(0)
    positive, negative, spread = torch.tensor([0.7, -0.2, 1.0], dtype=torch.float64)
    exact = gaussian_information(positive, negative, spread).item()
    errors = []
    for samples in (5, 500):
        a = positive + torch.randn(400, samples, generator=g, dtype=torch.float64)
        b = negative + torch.randn(400, samples, generator=g, dtype=torch.float64)
        errors.append(abs(sampled_information(a, b).mean().item() - exact))
    assert errors[0] > 0.03  # five samples, as released, overestimate by 1/(4 · 5)
    assert errors[1] < 3e-3  # the bias is 1/(4 · 500), the deviation of the mean of 400 rows 1e-3


def test_entropy_of_rows_knows_uniform_and_constant() -> None:
    rows = torch.stack([torch.linspace(0, 1, 20), torch.ones(20)])
    h = entropy_of_rows(rows, 20)
    assert abs(h[0].item() - 1) < 1e-6
    assert h[1].item() == 0


def test_masks_rank_information() -> None:
    information = torch.rand(3, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = soft_mask(information, 2.0)
    assert ((mask >= 0) & (mask <= 1)).all()
    assert (mask.argsort(1) == information.argsort(1)).all()
    assert (soft_mask(information, 0.0) == 1).all()
    gate = relative_gate(information)
    assert gate.max() == 1
    assert torch.allclose(gate, information.amax(0) / information.max())
    assert (relative_gate(0 * information) == 0).all()


@settings(max_examples=40, deadline=None)
@given(positive=st.floats(-3, 3), negative=st.floats(-3, 3), spread=st.floats(0.3, 5))
def test_exact_information_is_that_of_the_best_threshold(positive: float, negative: float, spread: float) -> None:
    found = gaussian_information(*torch.tensor([positive, negative, spread], dtype=torch.float64)).item()
    middle = (positive + negative) / 2  # the median of the mixture as well
    assert abs(found - information_at(middle, positive, negative, spread)) < 1e-12
    for threshold in torch.linspace(-6, 6, 25).tolist():
        assert information_at(threshold, positive, negative, spread) <= found + 1e-12


def test_temperature_divides_the_logit_of_the_mask() -> None:
    information = torch.rand(2, 30, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    warm, cold = (torch.logit(soft_mask(information, 1.0, t)) for t in (2.0, 0.5))
    assert torch.allclose(cold, 4 * warm)
