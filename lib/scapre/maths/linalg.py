"""Dense linear algebra the method is written in. Rows are samples; float64 inside."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 192  # columns of a product of rows with themselves that are computed at once
#: cosine of features above which one concept cannot stand in for another; costs nothing on the validation concepts
NEARLY_SAME = 0.85


def orthonormal_basis(rows: Tensor) -> Tensor:
    """Span the rows of a matrix by orthonormal columns.

    Args:
        rows: C, ``(m, d)``; collinear and zero rows are legal.

    Returns:
        U, ``(d, k)`` with UᵀU = I and k the numerical rank (tolerance max(m, d)·eps·σ₁).

    >>> orthonormal_basis(torch.tensor([[2.0, 0.0], [4.0, 0.0]])).abs()
    tensor([[1.],
            [0.]])
    """
    if rows.numel() == 0:
        return rows.new_zeros(rows.shape[1], 0)
    _, values, right = torch.linalg.svd(rows, full_matrices=False)
    tolerance = max(rows.shape) * torch.finfo(rows.dtype).eps * values[0]
    return right[values > tolerance].T.contiguous()


def leading_directions(rows: Tensor, energy: float) -> Tensor:
    """U₁: the fewest leading right singular vectors of the rows that hold a share of Σσ², ``(d, k)``.

    Args:
        rows: ``(r, d)``; r = 0 gives k = 0.
        energy: share in (0, 1]; 1 spans all rows (numerical rank).
    """
    if len(rows) == 0:
        return rows.new_zeros(rows.shape[1], 0)
    _, values, right = torch.linalg.svd(rows, full_matrices=False)
    before = 1 - values.square().flip(0).cumsum(0).flip(0) / values.square().sum()  # held by those in front
    solid = values > max(rows.shape) * torch.finfo(values.dtype).eps * values[0]
    return right[solid & (before < energy)].T


def add_upper(total: Tensor, rows: Tensor) -> None:
    """Add the blocks of rowsᵀ rows on and above the diagonal to ``total``; ``mirrored`` gives the rest.

    Of a wide matrix little more than half of the products are needed: (1 + BLOCK/f)/2.

    Args:
        total: ``(f, f)``, changed in place, of any floating type and on any device.
        rows: ``(m, f)``, multiplied in its own type.
    """
    for start in range(0, rows.shape[1], BLOCK):
        here = slice(start, start + BLOCK)
        total[here, start:] += (rows[:, here].T @ rows[:, start:]).to(total)


def mirrored(upper: Tensor) -> Tensor:
    """Fill a symmetric matrix whose upper half is known.

    >>> mirrored(torch.tensor([[1.0, 2.0], [9.0, 3.0]]))
    tensor([[1., 2.],
            [2., 3.]])
    """
    return upper.triu() + upper.triu(1).T


def lower_median(values: Tensor, dim: int = -1) -> Tensor:
    """Return the lower of the two middle values along ``dim``: entry (N − 1) // 2 in order.

    >>> lower_median(torch.tensor([4.0, 1.0, 3.0, 2.0])).item()
    2.0
    """
    return values.median(dim).values


def solve_rows(base: Tensor, strength: Tensor, basis: Tensor, right: Tensor) -> Tensor:
    """Solve one symmetric system per row that differ by a multiple of one projector.

        (G + s_i UUᵀ) w_i = b_i

    With K = UᵀG⁻¹U = E diag(κ) Eᵀ and P = G⁻¹UE (Woodbury),
    w_i = G⁻¹b_i − P diag(s_i / (1 + s_i κ)) Pᵀb_i, so one Cholesky factor and one
    k×k eigenproblem serve every row.

    Args:
        base: G, ``(d, d)`` symmetric positive definite.
        strength: s, ``(rows,)``, ≥ 0.
        basis: U, ``(d, k)`` with orthonormal columns.
        right: b, ``(rows, d)``.

    Returns:
        w, ``(rows, d)``.
    """
    factor = torch.linalg.cholesky(base)
    solution = torch.cholesky_solve(right.T, factor).T
    if basis.shape[1] == 0:
        return solution
    spread = torch.cholesky_solve(basis, factor)
    values, vectors = torch.linalg.eigh(basis.T @ spread)
    spread = spread @ vectors
    weight = strength[:, None] / (1 + strength[:, None] * values)
    return solution - ((right @ spread) * weight) @ spread.T


def generalised_eigh(matrix: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """Diagonalise S against B: SV = BV diag(θ) with VᵀBV = I.

    Args:
        matrix: S, ``(d, d)`` symmetric positive semi-definite.
        base: B, ``(d, d)`` symmetric positive definite.

    Returns:
        θ ``(d,)`` ascending, clamped at zero (round-off may leave −1e-17), and V ``(d, d)``.
    """
    factor = torch.linalg.cholesky(base)
    half = torch.linalg.solve_triangular(factor, matrix, upper=False)
    white = torch.linalg.solve_triangular(factor, half.T, upper=False)
    values, vectors = torch.linalg.eigh((white + white.T) / 2)
    return values.clamp(min=0), torch.linalg.solve_triangular(factor.T, vectors, upper=True)


def nearest(rows: Tensor, others: Tensor) -> Tensor:
    """Find the most similar other of each row that is not nearly the same.

    Similar by the cosine about the others' mean: what all of them share tells none apart. Others whose
    plain cosine with the row exceeds ``NEARLY_SAME`` are passed over where any is left: answering
    "tiger" like a concept that is nearly "tiger" changes nothing one could see.

    Args:
        rows: ``(m, d)``.
        others: ``(r, d)``, r ≥ 1.

    Returns:
        ``(m,)`` places in ``others``.
    """
    mean, unit = others.mean(0), torch.nn.functional.normalize
    similar = unit(rows - mean, dim=1) @ unit(others - mean, dim=1).T
    same = unit(rows, dim=1) @ unit(others, dim=1).T > NEARLY_SAME
    return torch.where(same, similar - 4, similar).argmax(1)
