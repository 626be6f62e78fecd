from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import bures_by_roots
from scapre.maths.bures import bures_distance, geodesic, procrustes_rotation, row_step, safety_valve


def pair(rows: int = 6, d: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, rows, d, generator=g, dtype=torch.float64))


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 7), d=st.integers(1, 7), seed=st.integers(0, 99))
def test_three_formulas_agree(rows: int, d: int, seed: int) -> None:
    w, w0 = pair(rows, d, seed)
    nuclear = bures_distance(w, w0)
    procrustes = (w - w0 @ procrustes_rotation(w, w0)).norm()
    # square roots of rank-deficient Grams lose half the digits
    assert torch.allclose(nuclear, bures_by_roots(w @ w.T, w0 @ w0.T), atol=1e-6)
    assert torch.allclose(nuclear, procrustes, atol=1e-7)


def test_distance_ignores_rotations_and_sees_everything_else() -> None:
    w, w0 = pair()
    q = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    assert bures_distance(w0 @ q, w0) < 1e-6
    assert torch.allclose(bures_distance(w @ q, w0), bures_distance(w, w0))
    assert bures_distance(w, w0) > 0.5


def test_geodesic_has_constant_speed_and_right_ends() -> None:
    w, w0 = pair()
    whole = bures_distance(w, w0)
    assert geodesic(w, w0, 0) is w
    assert bures_distance(geodesic(w, w0, 1), w0) < 1e-6
    for t in (0.25, 0.5):
        assert torch.allclose(bures_distance(geodesic(w, w0, t), w0), (1 - t) * whole)
    with pytest.raises(ValueError, match=r"1\.5"):
        geodesic(w, w0, 1.5)


def test_row_step_limits() -> None:
    w, w0 = pair()
    assert row_step(w, w0, 0.5, 0.3, 0) is w
    assert torch.allclose(row_step(w0, w0, 0.5, 0.3, 3), w0)
    near = row_step(w, w0, 0.0, 1.0, 4)
    cosine = torch.nn.functional.cosine_similarity
    ahead = (w * w0).sum(1) > 0
    assert (cosine(near, w0)[ahead] > cosine(w, w0)[ahead]).all()
    assert torch.isfinite(row_step(torch.zeros_like(w), w0, 0.5, 0.3, 1)).all()


def test_safety_valve_limits() -> None:
    w, w0 = pair()
    assert torch.allclose(safety_valve(w, w0, torch.zeros(6, dtype=torch.float64)), w0)
    assert not torch.allclose(safety_valve(w, w0, torch.ones(6, dtype=torch.float64)), w0)
