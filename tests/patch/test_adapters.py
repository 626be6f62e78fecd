"""Adapters lose what they say, and DoRA is exact where the theory says so."""

from __future__ import annotations

import pytest
import torch
from scapre.maths.bures import row_step, row_step_share
from scapre.patch.adapters import dora, lora
from toys import weight

RANK = 3


def edit(rows: int = 20, d: int = 12, size: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """An original and a change of rank 3."""
    old = weight(rows, d)
    return old, old + size * weight(rows, RANK, seed=2) @ weight(RANK, d, seed=3)


@pytest.mark.parametrize(("ridge", "alignment"), [(20.0, 0.1), (0.5, 0.6), (1e-3, 2.0)])
def test_one_row_step_can_be_read_backwards(ridge: float, alignment: float) -> None:
    old, before = edit()
    after = row_step(before, old, ridge, alignment, 1)
    assert torch.linalg.svdvals(after - old)[RANK] > 1e-4  # the step raises the rank …
    share = row_step_share(after, old, ridge, alignment)
    turned = (after * old).sum(1) <= 0
    assert turned.sum() < 5
    values = torch.linalg.svdvals((after - share[:, None] * old)[~turned])
    assert values[RANK] < 1e-12 * values[0]  # … and its share of the original takes that back


def test_without_a_step_the_share_is_one() -> None:
    old, new = edit(size=0.1)
    assert torch.allclose(row_step_share(new, old, 1.0, 0.0), torch.ones(len(old), dtype=old.dtype), atol=1e-12)
    new[0] = 0
    assert row_step_share(new, old, 1.0, 0.5)[0] == 1


def test_lora_loses_the_tail_of_the_spectrum() -> None:
    old, new = weight(20, 12), weight(20, 12, seed=2)
    values = torch.linalg.svdvals(new - old)
    for rank in (1, 5, 12):
        adapter = lora(old, new, rank=rank)
        assert adapter.rank == rank
        assert adapter.error(old, new) == pytest.approx(float(values[rank:].norm() / values.norm()), abs=1e-12)
    for tolerance in (0.5, 0.1, 1e-3):
        adapter = lora(old, new, tolerance=tolerance)
        assert adapter.error(old, new) <= tolerance
        assert adapter.rank == 1 or lora(old, new, rank=adapter.rank - 1).error(old, new) > tolerance


@pytest.mark.parametrize(("ridge", "alignment"), [(20.0, 0.1), (0.5, 0.6)])
def test_dora_is_exact_at_the_rank_of_the_change(ridge: float, alignment: float) -> None:
    old, before = edit(size=0.2)
    after = row_step(before, old, ridge, alignment, 1)
    adapter = dora(old, after, row_step_share(after, old, ridge, alignment), tolerance=1e-10)
    assert adapter.rank == RANK
    assert adapter.error(old, after) < 1e-12
    assert lora(old, after, rank=RANK).error(old, after) > 1e-4


def test_dora_finds_rescaled_rows_without_being_told() -> None:
    old, before = edit(rows=40, d=30, size=0.1)
    scale = torch.linspace(0.8, 1.3, 40, dtype=old.dtype)[:, None]
    adapter = dora(old, scale * before, rank=RANK)
    assert adapter.error(old, scale * before) < 1e-3
    assert lora(old, scale * before, rank=RANK).error(old, scale * before) > 0.3


def test_rows_that_turn_over_or_vanish_stay_finite() -> None:
    old = weight(8, 6)
    new = old.clone()
    new[0], new[1] = -old[0], 0
    adapter = dora(old, new, tolerance=1e-6)
    assert torch.isfinite(adapter.up).all()
    assert adapter.error(old, new) < 1e-6


def test_factors_keep_the_type() -> None:
    old, new = (w.to(torch.bfloat16) for w in edit())
    adapter = dora(old, new, rank=2)
    assert {t.dtype for t in (adapter.up, adapter.down, adapter.magnitude)} == {torch.bfloat16}
