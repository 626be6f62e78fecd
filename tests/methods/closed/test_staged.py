"""The two closed forms of the staged eraser, against the objectives they state."""

from __future__ import annotations

import pytest
import torch
from scapre.methods.closed.staged import falling, key_edit, last_stage
from scapre.methods.registry import FORMER, SOLVERS, find_method
from toys import statistics, weight

F, D = 10, 6


def wishes(m: int, length: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    keys, wanted = (torch.randn(m, length, n, generator=g, dtype=torch.float64) for n in (F, D))
    root = torch.randn(F, F, generator=g, dtype=torch.float64)
    return keys, wanted, root @ root.T


def objective(change, keys, wanted, kept, ridge, scale):
    count = len(keys)
    size = keys.square().sum() / count / F
    fit = (keys @ change.T - wanted).square().sum() / count
    return fit + scale * (change @ kept @ change.T).trace() + ridge * size * change.square().sum()


def test_a_feed_forward_is_edited_at_the_minimum_of_its_objective() -> None:
    keys, wanted, kept = wishes(5)
    change, _ = key_edit([(keys, wanted)], kept, ridge=0.1, retain_scale=2.0, count=5)
    change.requires_grad_(True)
    value = objective(change, keys, wanted, kept, 0.1, 2.0)
    (slope,) = torch.autograd.grad(value, change)
    assert slope.abs().max() < 1e-9
    assert value < objective(torch.zeros_like(change), keys, wanted, kept, 0.1, 2.0)


@pytest.mark.parametrize(("m", "left"), [(F, 0.0), (2 * F, 0.3)])
def test_as_many_wishes_are_met_as_activations_are_wide(m: int, left: float) -> None:
    keys, wanted, kept = wishes(m, length=1)
    _, facts = key_edit([(keys, wanted)], 0 * kept, ridge=1e-12, retain_scale=0.0, count=m)
    assert facts["residual"] == pytest.approx(0, abs=1e-4) if left == 0 else facts["residual"] > left


def test_what_is_kept_without_limit_does_not_move() -> None:
    keys, wanted, kept = wishes(5)
    change, facts = key_edit([(keys, wanted)], kept + torch.eye(F), ridge=0.1, retain_scale=1e9, count=5)
    assert change.norm() < 1e-6
    assert facts["residual"] == pytest.approx(1)


def test_keys_of_an_encoder_are_multiplied_as_they_are_and_the_edit_is_that_of_double_precision() -> None:
    g = torch.Generator().manual_seed(0)
    keys, wanted, shared = torch.randn(600, 9, 48, generator=g), torch.randn(600, 9, 16, generator=g), 5.0
    keys += shared  # as the activations of a real encoder lean to one side
    found, facts = key_edit(
        [(keys, wanted)], torch.eye(48, dtype=torch.float64), ridge=0.1, retain_scale=12.0, count=600
    )
    exact, about = key_edit(
        [(keys.double(), wanted.double())], torch.eye(48, dtype=torch.float64), ridge=0.1, retain_scale=12.0, count=600
    )
    assert (found - exact).norm() < 1e-5 * exact.norm()
    assert facts["residual"] == pytest.approx(about["residual"], rel=1e-5)


def test_the_order_of_targets_does_not_matter() -> None:
    keys, wanted, kept = wishes(5)
    first, second = (
        key_edit([(keys[o], wanted[o])], kept, ridge=0.1, retain_scale=2.0, count=5)[0]
        for o in (torch.arange(5), torch.tensor([3, 1, 4, 0, 2]))
    )
    assert torch.allclose(first, second, atol=1e-12)


def test_sentences_batch_by_batch_give_the_edit_of_all_at_once() -> None:
    keys, wanted, kept = wishes(5)
    batches = zip(keys.split(2), wanted.split(2), strict=True)
    parts, facts = key_edit(batches, kept, ridge=0.1, retain_scale=2.0, count=5)
    whole, about = key_edit([(keys, wanted)], kept, ridge=0.1, retain_scale=2.0, count=5)
    assert torch.allclose(parts, whole, atol=1e-12)
    assert facts == pytest.approx(about)


def test_the_last_stage_is_at_the_minimum_of_its_objective() -> None:
    s, w0 = statistics(), weight()
    kept, contexts = s.kept_gram / 3, s.contexts
    w = last_stage(s, kept, ridge=0.7, erase_scale=3.0, retain_scale=2.0)(w0).weight.requires_grad_(True)
    instead = contexts.anchors[contexts.anchor_of].double()
    fit = (contexts.targets.double() @ w.T - instead @ w0.T).square().sum() / 5
    value = 0.7 * (w - w0).square().sum() + 3.0 * fit + 2.0 * ((w - w0) @ kept @ (w - w0).T).trace()
    (slope,) = torch.autograd.grad(value, w)
    assert slope.abs().max() < 1e-8


def test_the_weight_of_the_last_stage_is_halved_halfway_and_falls_from_there() -> None:
    assert falling(30.0, 5.0, 5) == 15.0
    assert falling(30.0, 0.0, 5) == 0.0
    weights = [falling(30.0, 5.0, m) for m in (1, 10, 100, 1000)]
    assert weights == sorted(weights, reverse=True)
    # the whole push of all targets together stays bounded by η h, however many they are
    assert 1000 * weights[-1] < 30.0 * 5.0


def test_the_former_name_is_answered_with_the_new_ones() -> None:
    for name, sentence in FORMER.items():
        assert name not in SOLVERS
        with pytest.raises(ValueError, match=r"confined.*staged.*scapre-paper"):
            find_method(name)
        assert sentence
