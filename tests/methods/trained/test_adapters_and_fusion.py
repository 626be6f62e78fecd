"""Adapters and their composition; MACE around its training."""

from __future__ import annotations

import warnings

import pytest
import torch
from diffusers.optimization import get_cosine_with_hard_restarts_schedule_with_warmup
from scapre.methods.trained.attention import concept_tokens
from scapre.methods.trained.loop import train
from scapre.methods.trained.lora import add_lora, composed, product, restart
from scapre.methods.trained.mace import Mace, fused
from scapre.methods.trained.spm import Spm, layers, surrogate, warm_restarts
from scapre.methods.trained.student import apprentice
from torch import Tensor
from trained_toys import asked, opened, tiny_pipeline


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_compositions_differ_by_cross_terms_and_by_the_square_of_a_share() -> None:
    ups, downs = [draws(5, 1), draws(5, 1, seed=1)], [draws(1, 7, seed=2), draws(1, 7, seed=3)]
    shares = [0.5, 0.8]
    printed = composed(ups, downs, shares, summed=False)
    released = composed(ups, downs, shares, summed=True)
    assert torch.linalg.matrix_rank(printed) == 2
    assert torch.linalg.matrix_rank(released) == 1
    naive = sum(g * u @ v for g, u, v in zip(shares, ups, downs, strict=True))
    assert torch.allclose(printed, naive)
    pairs = [(a, b) for a in range(2) for b in range(2)]
    assert torch.allclose(released, sum(shares[a] * shares[b] * ups[a] @ downs[b] for a, b in pairs))
    alone = composed(ups[:1], downs[:1], [0.5], summed=True)
    assert torch.allclose(alone, 0.25 * ups[0] @ downs[0])
    order = composed(ups[::-1], downs[::-1], shares[::-1], summed=False)
    assert torch.allclose(printed, order)


def test_an_adapter_starts_at_nothing_and_is_its_product() -> None:
    unet = tiny_pipeline().unet
    names = [n for n in layers(unet, "transformers") if "attn2.to_k" in n or n.endswith("proj_in")]
    student = apprentice(unet, ())
    factors = add_lora(student, names, 2)
    restart(factors, 0)
    assert all(factor.abs().max() == 0 for name, factor in factors.items() if name.endswith(".up"))
    for name in names:
        up, down = factors[f"{name}.up"], factors[f"{name}.down"]
        assert float(down.detach().var() * down[0].numel()) == pytest.approx(1 / 3, abs=0.15)
        torch.nn.init.normal_(up)
        layer, original = student.get_submodule(name), unet.get_submodule(name)
        change = product(up, down).view_as(original.weight)
        columns = original.weight.shape[1]
        x = torch.randn(2, 12, columns) if original.weight.ndim == 2 else torch.randn(2, columns, 4, 4)
        with torch.no_grad():
            apart = torch.nn.functional.linear(x, change) if change.ndim == 2 else torch.nn.functional.conv2d(x, change)
            assert torch.allclose(layer(x), original(x) + apart, atol=1e-4)


def test_spm_covers_every_layer_of_the_transformers_and_merges_its_adapters() -> None:
    unet = tiny_pipeline().unet
    expected = {
        n.removesuffix(".weight")
        for n, p in unet.named_parameters()
        if ".attentions." in n and n.endswith(".weight") and "norm" not in n
    }
    assert set(layers(unet, "transformers")) == expected
    own = dict(unet.named_parameters())
    for composition in ("printed", "released"):
        eraser = opened(Spm, composition=composition)
        edited = train(eraser)
        changes = [(weight - own[name]).detach().double().flatten(1) for name, weight in edited.items()]
        ranks = {int(torch.linalg.matrix_rank(change, rtol=1e-3)) for change in changes}
        assert max(ranks) == (2 if composition == "printed" else 1)


def test_surrogate_prompts_have_the_size_of_the_prompt() -> None:
    text = draws(2, 12, 32)
    z = surrogate(text, 5, torch.Generator().manual_seed(0))
    share = z.flatten(2).norm(dim=2) / text.flatten(1).norm(dim=1)[:, None]
    assert z.shape == (2, 5, 12, 32)
    assert ((share > 0.8) & (share < 1.2)).all()
    assert share.std() > 0.01


def test_warm_restarts_are_those_of_the_library() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = get_cosine_with_hard_restarts_schedule_with_warmup(torch.optim.SGD([weight], lr=1.0), 10, 60, 3)
        for step in range(60):
            assert warm_restarts(step, 60, 10, 3) == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
            theirs.step()


def test_fusion_solves_its_normal_equations() -> None:
    original, changes = draws(4, 6), [draws(4, 6, seed=i) for i in (1, 2)]
    words, kept, ridge = draws(2, 9, 6, seed=3), draws(11, 6, seed=4), 0.3
    grams = words.transpose(1, 2) @ words
    system = grams.sum(0) + 2.0 * kept.T @ kept + ridge * torch.eye(6, dtype=torch.float64)
    found = fused(original, changes, grams, system).requires_grad_()
    loss = sum(((found - original - c) @ w.T).square().sum() for c, w in zip(changes, words, strict=True))
    loss = loss + 2.0 * ((found - original) @ kept.T).square().sum() + ridge * (found - original).square().sum()
    (slope,) = torch.autograd.grad(loss, found)
    assert slope.abs().max() < 1e-9 * float(loss.detach())
    again = fused(original, changes[::-1], grams.flip(0), system)
    assert torch.allclose(found, again)  # the order of targets does not matter


def test_refinement_leaves_the_target_s_own_tokens_alone() -> None:
    pipe, form = tiny_pipeline(torch.float64), "a picture of a {}"
    eraser = opened(Mace, pipe, asked(("red car",), ("sun",), ("tree",)))
    words, replaced = eraser._beside(0, form)
    of_target, of_anchor = eraser.denoiser.text(
        eraser.denoiser.say([form.format("red car"), form.format("sun")])
    ).hidden
    marks = concept_tokens(pipe.tokenizer, form.format("red car"), "red car")
    assert all(not torch.isclose(words, token).all(1).any() for token in of_target[marks])
    first, last = int(marks.nonzero()[0]), int(marks.nonzero()[-1]) + 1
    assert torch.allclose(words[:first], of_target[:first])
    assert torch.allclose(words[:first], replaced[:first], atol=1e-5)  # a causal encoder reads the same start
    assert torch.allclose(words[first:], of_target[last:])
    after = int(concept_tokens(pipe.tokenizer, form.format("sun"), "sun").nonzero()[-1]) + 1
    assert torch.allclose(replaced[first:], of_anchor[after : after + len(words) - first])


def test_without_steps_only_the_closed_forms_act() -> None:
    wish = asked(("cat", "dog"), ("sun", ""), ("tree",))
    eraser = opened(Mace, tiny_pipeline(torch.float64), wish=wish, steps=0)
    edited = train(eraser)
    for name, original in eraser.originals.items():
        hidden = eraser._read(wish.targets).flatten(0, 2)
        kept = eraser._read(wish.retained).flatten(0, 2)
        start = eraser.refined[name]
        # the refined answers on targets' words, the original ones on kept words, and a ridge: least squares, stacked
        root = 0.5**0.5 * torch.eye(original.shape[1], dtype=torch.float64)
        left = torch.cat([hidden, kept, root])
        right = torch.cat([hidden @ start.T, kept @ original.T, root @ original.T])
        assert torch.allclose(edited[name], torch.linalg.lstsq(left, right).solution.T, atol=1e-6)
        assert not torch.allclose(edited[name], original)


def test_times_follow_the_focus() -> None:
    eraser = opened(Mace)
    assert eraser.chances[300] > 0.9
    assert eraser.chances[200] == pytest.approx(0.5, abs=0.01)
    assert eraser.chances[700] < 1e-5
    uniform = opened(Mace, focus=0.0)
    assert uniform.chances.equal(torch.ones(1000, dtype=torch.float64))
