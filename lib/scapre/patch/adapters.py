"""An edited matrix as an adapter: LoRA to a chosen error, DoRA exact where rows were rescaled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ALTERNATIONS = 8


@dataclass(frozen=True)
class Adapter:
    """Factors of an edit: ``up (d_out, k)``, ``down (k, d)`` and, for DoRA, ``magnitude (d_out,)``.

    A convolution is a matrix here: its input channels and the pixels of its ``kernel`` are the d columns.

    LoRA is W₀ + up · down; DoRA gives the rows of W₀ + up · down the lengths ``magnitude``.
    """

    up: Tensor
    down: Tensor
    magnitude: Tensor | None = None
    kernel: tuple[int, ...] = ()

    @property
    def layers(self) -> tuple[Tensor, Tensor]:
        """The factors as layers hold them: ``down`` and ``up``, of a convolution as convolutions."""
        return self.down.unflatten(1, (-1, *self.kernel)), self.up[(..., *(None for _ in self.kernel))]

    @property
    def rank(self) -> int:
        """k."""
        return self.down.shape[0]

    def weight(self, original: Tensor) -> Tensor:
        """Rebuild W from W₀, ``(d_out, d)`` float64."""
        moved = original.double().flatten(1) + self.up.double() @ self.down.double()
        if self.magnitude is None:
            return moved
        length = moved.norm(dim=1, keepdim=True).clamp(min=torch.finfo(moved.dtype).tiny)
        return self.magnitude.double()[:, None] * moved / length

    def error(self, original: Tensor, edited: Tensor) -> float:
        """‖Ŵ − W‖ / ‖W − W₀‖: the share of the edit that is lost; 0 for an edit that changes nothing."""
        change = (edited.double() - original.double()).norm()
        return float((self.weight(original) - edited.double().flatten(1)).norm() / change) if change > 0 else 0.0


def lora(original: Tensor, edited: Tensor, *, rank: int | None = None, tolerance: float = 1e-2) -> Adapter:
    """Cut W − W₀ to its leading singular directions, the best adapter of any rank (Eckart–Young).

    Args:
        original: W₀, ``(d_out, d)`` or of a convolution.
        edited: W, the same.
        rank: directions kept, at most min(d_out, d); None: as few as ``tolerance`` allows.
        tolerance: largest share of the edit that may be lost.

    Returns:
        factors in the type of ``edited``.
    """
    change = (edited.double() - original.double()).flatten(1)
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    k = _rank(values, values.norm(), rank, tolerance)
    factors = (left[:, :k] * values[:k]).to(edited.dtype), right[:k].to(edited.dtype)
    return Adapter(*factors, kernel=tuple(edited.shape[2:]))


def dora(
    original: Tensor,
    edited: Tensor,
    share: Tensor | None = None,
    *,
    rank: int | None = None,
    tolerance: float = 1e-5,
) -> Adapter:
    """Find rows of W₀ + BA parallel to those of W, with BA of low rank, and keep their lengths.

        min over b, D of rank k of ‖W − diag(b) W₀ − D‖,  BA = diag(1/b) D,  magnitude = ‖w_i‖

    solved alternately: D by singular values given b, b row by row given the row space of D.
    When b is the share of W₀ that the Bures row step left (``bures.row_step_share``), D has the
    rank of the change before the step and the adapter is exact at that rank.

    Args:
        original: W₀, ``(d_out, d)``.
        edited: W, ``(d_out, d)``.
        share: b to start from, ``(d_out,)`` > 0; None: the better end of two starts, ones and the
            least-squares multiple of each original row.
        rank: k; None: as few as ``tolerance`` allows.
        tolerance: largest share of the edit that may be lost.

    Returns:
        factors in the type of ``edited``.
    """
    old, new = original.double(), edited.double()
    if share is not None:
        starts = [share.double()]
    else:
        multiple = (new * old).sum(1) / old.square().sum(1).clamp(min=torch.finfo(old.dtype).tiny)
        starts = [torch.ones_like(multiple), multiple]
    ends = [_alternate(old, new, start, rank, tolerance) for start in starts]
    best = min(ends, key=lambda each: (each.rank, each.error(old, new)))
    up, down, magnitude = (part.to(edited.dtype).contiguous() for part in (best.up, best.down, new.norm(dim=1)))
    return Adapter(up, down, magnitude)


def _alternate(old: Tensor, new: Tensor, b: Tensor, rank: int | None, tolerance: float) -> Adapter:
    """Solve for D and b in turn; each step lowers the objective of ``dora``."""
    scale = (new - old).norm()
    # b stays well above zero: a row that lost its original altogether is left to D
    floor = 0.01 * new.norm(dim=1) / old.norm(dim=1).clamp(min=torch.finfo(old.dtype).tiny)
    floor = floor.clamp(min=torch.finfo(old.dtype).eps)
    k, basis = min(new.shape), new.new_zeros(new.shape[1], 0)
    for turn in range(ALTERNATIONS):
        b = torch.maximum(b, floor)
        _, values, right = torch.linalg.svd(new - b[:, None] * old, full_matrices=False)
        k = min(k, max(1, _rank(values, scale, rank, tolerance)))  # loaders know no rank 0
        basis = right[:k].T
        if turn + 1 < ALTERNATIONS and k < min(new.shape):
            rest = old - old @ basis @ basis.T
            size = rest.square().sum(1)
            b = torch.where(size > 0, (new * rest).sum(1) / torch.where(size > 0, size, 1), b)
    return Adapter((new / b[:, None] - old) @ basis, basis.T, new.norm(dim=1))


def _rank(values: Tensor, scale: Tensor, rank: int | None, tolerance: float) -> int:
    """The given rank, else the smallest whose tail stays within the tolerance of ``scale``."""
    if rank is not None:
        return min(rank, len(values))
    tail = values.square().flip(0).cumsum(0).flip(0).sqrt()
    return int((tail > tolerance * scale).sum())
