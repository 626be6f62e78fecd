from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import rows_one_by_one
from scapre.maths.linalg import add_upper, generalised_eigh, mirrored, orthonormal_basis, solve_rows


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 20), d=st.integers(1, 12), repeat=st.booleans(), seed=st.integers(0, 99))
def test_shared_factor_equals_a_solve_for_every_row(m: int, d: int, repeat: bool, seed: int) -> None:
    targets = random(m, d, seed=seed)
    if repeat:
        targets = torch.cat([targets, targets, 2 * targets[:1]])  # duplicate and collinear
    basis = orthonormal_basis(targets)
    assert torch.allclose(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64), atol=1e-12)
    base = 0.5 * torch.eye(d, dtype=torch.float64) + targets.T @ targets
    strength, right = random(6, seed=seed + 1).abs(), random(6, d, seed=seed + 2)
    strength[0] = 0
    fast = solve_rows(base, strength, basis, right)
    assert torch.allclose(fast, rows_one_by_one(base, strength, basis @ basis.T, right), atol=1e-10, rtol=1e-10)


def test_basis_ignores_dependent_rows() -> None:
    rows = random(3, 8)
    assert orthonormal_basis(torch.cat([rows, rows.sum(0, keepdim=True), 0 * rows])).shape == (8, 3)
    assert orthonormal_basis(rows[:0]).shape == (8, 0)


def test_generalised_eigenbasis_diagonalises_both() -> None:
    a, b = random(4, 9), random(9, 9, seed=1)
    matrix, base = a.T @ a, b.T @ b + torch.eye(9, dtype=torch.float64)
    values, vectors = generalised_eigh(matrix, base)
    assert torch.allclose(vectors.T @ base @ vectors, torch.eye(9, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(vectors.T @ matrix @ vectors, torch.diag(values), atol=1e-10)
    assert int((values > 1e-10).sum()) == 4


@pytest.mark.parametrize("width", [1, 5, 384, 1000])
def test_upper_blocks_make_the_whole_product(width: int) -> None:
    rows = torch.randn(7, width, generator=torch.Generator().manual_seed(width), dtype=torch.float64)
    total = torch.zeros(width, width, dtype=torch.float64)
    add_upper(total, rows[:3])
    add_upper(total, rows[3:])
    assert torch.allclose(mirrored(total), rows.T @ rows, atol=1e-12)
