"""Masks that move or stay, projected gradients, schedules."""

from __future__ import annotations

import pytest
import torch
from scapre.methods.trained.eraser import added
from scapre.methods.trained.loop import gradients, one_step, train
from scapre.methods.trained.masks import largest, renewed, salient
from scapre.methods.trained.restricted_gradient import RestrictedGradient, inner, restricted
from scapre.methods.trained.salun import SalUn
from scapre.methods.trained.sculpting_memory import SculptingMemory, one_cycle
from torch import Tensor
from trained_toys import asked, first_batch, opened, tiny_pipeline


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_largest_are_marked_exactly() -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0], [3.0, 0.0, 2.0]])
    assert largest(scores, 2).tolist() == [[False, True, True], [False, False, False]]
    assert largest(scores, 0).sum() == 0
    assert largest(scores, 6).all()


def test_saliency_is_joint_over_all_weights() -> None:
    found = {"small": 0.01 * draws(10, 10), "large": draws(5, 20, seed=1)}
    masks = salient(found, 0.5)
    assert sum(int(mask.sum()) for mask in masks.values()) == 100
    assert masks["large"].sum() > 95  # weight by weight it would be 50
    smallest = min(found[n].abs()[masks[n]].min() for n in found if masks[n].any())
    assert all((found[n].abs()[~masks[n]] <= smallest).all() for n in found)


def test_renewal_exchanges_the_least_for_the_most() -> None:
    gradient, mask = draws(8, 8), torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :4] = True
    after = renewed(mask, gradient, 0.25)
    assert after.sum() == mask.sum()
    out, new = mask & ~after, after & ~mask
    assert out.sum() == new.sum() == 8
    assert gradient.abs()[out].max() <= gradient.abs()[mask & after].min()
    assert gradient.abs()[new].min() >= gradient.abs()[~mask & ~after].max()
    assert renewed(mask, gradient, 0.0).equal(mask)
    assert renewed(torch.ones_like(mask), gradient, 0.5).all()  # nothing to exchange with


def test_salun_moves_half_of_all_weights() -> None:
    eraser = opened(SalUn, steps=1, weight_decay=0.0)
    edited = train(eraser)
    own = dict(tiny_pipeline().unet.named_parameters())
    masks = {name: eraser.state[f"mask/{name}"] for name in edited}
    count = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == round(0.5 * count)
    first = opened(SalUn, steps=1, wish=asked(("cat",), ("sun",), ("boat",)))
    edited = train(first)
    for name, weight in edited.items():
        assert weight[~first.state[f"mask/{name}"]].equal(own[name][~first.state[f"mask/{name}"]])


def test_sculpting_memory_warms_up_masks_and_keeps_the_best_epoch() -> None:
    eraser = opened(SculptingMemory, steps=20, wish=asked(("cat",), ("sun",)), renew_every=4)
    own = dict(tiny_pipeline().unet.named_parameters())
    seen: dict[int, dict[str, Tensor]] = {}
    masks: dict[int, dict[str, Tensor]] = {}

    def watch(done: int) -> None:
        seen[done] = {name: p.detach().clone() for name, p in eraser.parameters.items()}
        masks[done] = {name: eraser.state[f"mask/{name}"].clone() for name in own if f"mask/{name}" in eraser.state}

    told: list[list[float]] = []
    after = eraser.after

    def note(losses: list[float]) -> None:
        told.append(losses)
        after(losses)

    eraser.after = note  # type: ignore[method-assign]
    edited = train(eraser, watch=watch)
    assert all(weight.equal(own[name]) for name, weight in seen[2].items())  # one epoch of ten
    assert masks[2]
    assert not masks[1]
    for name, mask in masks[2].items():
        assert mask.sum() == round(0.5 * mask.numel())
        assert seen[3][name][~mask].equal(own[name][~mask])
    assert not all(masks[4][name].equal(masks[2][name]) for name in masks[2])  # renewed
    assert all(masks[20][name].equal(masks[16][name]) for name in masks[2])  # not in the last epochs
    ends = [all(edited[name].equal(seen[done][name]) for name in edited) for done in range(2, 21, 2)]
    assert sum(ends) == 1
    means = [sum(row[0] for row in told[i : i + 2]) / 2 for i in range(0, 20, 2)]
    assert ends.index(True) == means.index(min(means))


def test_one_cycle_is_torch_s() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=50)
    for step in range(50):
        assert one_cycle(step, 50) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6, abs=1e-9)
        optimiser.step()
        if step < 49:
            theirs.step()


def test_projected_gradients_hurt_neither() -> None:
    forget, retain = [draws(3, 4), None, draws(5, seed=1)], [-draws(3, 4) + 0.1 * draws(3, 4, seed=2), draws(2), None]
    assert inner(forget, retain) < 0
    first, second = restricted(forget, retain)
    assert inner(first, retain) == pytest.approx(0, abs=1e-12)
    assert inner(second, forget) == pytest.approx(0, abs=1e-12)
    for alpha in (0.1, 1.6, 10.0):
        both = [added([a, None if b is None else alpha * b]) for a, b in zip(first, second, strict=True)]
        assert inner(both, forget) >= 0
        assert inner(both, retain) >= 0
    swapped = restricted(retain, forget)
    for ours, theirs in zip((*first, *second), (*swapped[1], *swapped[0]), strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours.equal(theirs)


def test_gradients_that_agree_and_zero_gradients_stay() -> None:
    forget, retain = [draws(4)], [draws(4) + 0.1 * draws(4, seed=1)]
    assert restricted(forget, retain) == (forget, retain)
    nothing = [torch.zeros(4, dtype=torch.float64)]
    assert restricted(nothing, retain) == (nothing, retain)


def test_a_plain_step_improves_both_losses_to_first_order() -> None:
    eraser = opened(RestrictedGradient, tiny_pipeline(torch.float64), bound=9.0, learning_rate=1e-4)
    batch = first_batch(eraser)
    before = [float(loss.detach()) for loss in eraser.losses(batch)]
    both = gradients(eraser, eraser.losses(batch))
    update = eraser.combine(both)
    assert inner(update, both[0]) >= 0
    assert inner(update, both[1]) >= 0
    eraser.sample = lambda draw: batch  # type: ignore[method-assign]
    one_step(eraser, eraser.optimiser())
    after = [float(loss.detach()) for loss in eraser.losses(batch)]
    assert after[0] <= before[0] + 1e-9
    assert after[1] <= before[1] + 1e-9
    assert sum(after) < sum(before)


def test_beyond_the_bound_ascent_stops() -> None:
    eraser = opened(RestrictedGradient, bound=0.0)
    forget, retain = gradients(eraser, eraser.losses(first_batch(eraser)))
    assert inner(forget, forget) == 0
    assert inner(retain, retain) > 0
    update = eraser.combine([forget, retain])
    for got, alone in zip(update, retain, strict=True):
        assert (got is None and alone is None) or torch.allclose(got, 1.6 * alone)


def test_pairs_share_noise_and_sentence() -> None:
    eraser = opened(RestrictedGradient, wish=asked(("cat",), ("",), ("dog",), "sentences"), pictures=4)
    assert eraser.forget.forms.equal(eraser.keep.forms)
    assert eraser.forget.forms.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="name concepts to keep in retained"):
        opened(RestrictedGradient, wish=asked(("cat",), ("",)))
