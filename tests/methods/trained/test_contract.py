"""What every eraser that trains owes: only declared weights move, by the gradient of its formula, reproducibly."""

from __future__ import annotations

import pytest
import torch
from scapre.methods.trained.eraser import Eraser, added
from scapre.methods.trained.loop import gradients, train
from scapre.methods.trained.student import trained_names
from scapre.model.fingerprint import fingerprint
from torch import Tensor
from trained_cases import METHODS, Case, every_case, every_method, pin_start
from trained_toys import ONE, first_batch, opened, tiny_pipeline

#: change weights before their first step; their own tests say what no step gives
SOLVES_FIRST = {"mace"}


def total(eraser: Eraser, batch: dict[str, Tensor]) -> list[Tensor | None]:
    return [added(parts) for parts in zip(*gradients(eraser, eraser.losses(batch)), strict=True)]


@torch.no_grad()
def moved(eraser: Eraser, size: float = 0.02) -> None:
    draw = torch.Generator().manual_seed(5)
    for parameter in eraser.parameters.values():
        parameter += size * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype)


@every_method
def test_only_declared_weights_move(case: Case) -> None:
    pipe = tiny_pipeline()
    before = fingerprint(pipe.unet.state_dict())
    eraser = opened(case.kind, **case.settings, trained="as-published")
    edited = train(eraser)
    own = dict(pipe.unet.named_parameters())
    assert fingerprint(pipe.unet.state_dict()) == before
    assert all(parameter.requires_grad for parameter in own.values())
    changed = {name for name, weight in edited.items() if not weight.equal(own[name])}
    assert changed
    assert set(edited) <= set(own)
    if case.kind.published in ("kv", "cross-attention", "unet"):
        assert set(edited) == set(trained_names(pipe.unet, case.kind.published))
    trained = {id(parameter) for parameter in eraser.parameters.values()}
    places = {parameter.data_ptr() for parameter in own.values()}
    shared = [p for p in eraser.student.parameters() if id(p) not in trained]
    if case.kind.method not in SOLVES_FIRST:
        assert all(not p.requires_grad and p.data_ptr() in places for p in shared)


@every_method
def test_restricted_to_keys_and_values_nothing_else_moves(case: Case) -> None:
    edited = train(opened(case.kind, wish=ONE, **case.settings | {"trained": "kv", "steps": 1}))
    assert set(edited) == set(trained_names(tiny_pipeline().unet, "kv"))


@pytest.mark.parametrize("case", [c for name, c in METHODS.items() if name not in SOLVES_FIRST])
@pytest.mark.parametrize("nothing", [{"steps": 0}, {"steps": 2, "learning_rate": 0.0}])
def test_no_step_and_no_rate_leave_the_weights_bit_for_bit(case: Case, nothing: dict[str, float]) -> None:
    edited = train(opened(case.kind, wish=ONE, **case.settings | nothing))
    own = dict(tiny_pipeline().unet.named_parameters())
    assert all(weight.equal(own[name]) for name, weight in edited.items())


@every_case
def test_the_first_gradient_is_that_of_the_formula(case: Case) -> None:
    eraser = opened(case.kind, tiny_pipeline(torch.float64), **case.settings)
    eraser.begin()
    eraser.step = case.step
    batch = first_batch(eraser)
    found = total(eraser, batch)
    pin_start(eraser)
    draw, frozen = torch.Generator().manual_seed(1), eraser.denoiser.unet
    way = [torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in eraser.parameters.values()]
    values = []
    step = 2e-6
    with torch.no_grad():
        for sign in (1, -2):
            for parameter, direction in zip(eraser.parameters.values(), way, strict=True):
                parameter += sign * step * direction
            values.append(float(case.formula(eraser, eraser.student, frozen, batch)))
    along = sum(float((g * d).sum()) for g, d in zip(found, way, strict=True) if g is not None)
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(along, rel=1e-5, abs=1e-9)
    assert abs(along) > 1e-7


@every_case
def test_the_teacher_is_the_declared_model_and_gets_no_gradient(case: Case) -> None:
    eraser = opened(case.kind, tiny_pipeline(torch.float64), **case.settings)
    eraser.begin()
    eraser.step = case.step
    batch = first_batch(eraser)
    moved(eraser)
    losses = eraser.losses(batch)
    teachers = {"frozen": eraser.denoiser.unet, "current": eraser.student}
    values = {
        name: float(case.formula(eraser, eraser.student, model, batch).detach()) for name, model in teachers.items()
    }
    said = float(sum(losses).detach())
    for name, value in values.items():
        right = case.teacher in ("none", name)
        assert (abs(value - said) < 1e-9 * abs(said)) == right
    loss = case.formula(eraser, eraser.student, teachers.get(case.teacher, eraser.student), batch)
    expected = torch.autograd.grad(loss, list(eraser.parameters.values()), allow_unused=True)
    for got, wanted in zip(total(eraser, batch), expected, strict=True):
        assert (got is None) == (wanted is None)
        assert got is None or torch.allclose(got, wanted, rtol=1e-6, atol=1e-10)


@every_case
def test_a_batch_of_two_is_the_mean_of_two_batches_of_one(case: Case) -> None:
    eraser = opened(case.kind, tiny_pipeline(torch.float64), **case.settings)
    eraser.begin()
    eraser.step = case.step
    batch = first_batch(eraser)
    both = torch.stack(eraser.losses(batch)).sum()
    ones = [torch.stack(eraser.losses({k: v[i : i + 1] for k, v in batch.items()})).sum() for i in range(2)]
    if case.kind.method == "forget-me-not":  # a norm: the root of the sum of squares
        assert torch.allclose(both, torch.stack(ones).square().sum().sqrt())
    else:
        assert torch.allclose(both, torch.stack(ones).mean())
    assert not torch.allclose(*ones)


@every_method
def test_a_seed_decides_everything(case: Case) -> None:
    first, again, other = (train(opened(case.kind, wish=ONE, seed=seed, **case.settings)) for seed in (3, 3, 4))
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)
