"""Theorems of the closed forms: optimality, limits, invariances, naive oracles."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import confined_one_by_one, masked_cross_by_sum, sylvester_by_kronecker
from scapre.maths.linalg import generalised_eigh, nearest
from scapre.methods.closed.confined import confined_solver, matched_neutrals, solve_confined
from scapre.methods.closed.paper import overlap_regulariser, paper_solver, solve_sylvester
from scapre.methods.closed.released import masked_cross, spectral_gate
from scapre.methods.closed.uce import uce_solver
from scapre.methods.solution import diagnose
from toys import statistics, turned, weight

RIDGE = {"ridge": 0.5, "erase_scale": 1.0, "retain_scale": 1.0}
PARTS = {"spectral_gate": True, "use_mask": True}
MASK = {"p": 1.0, "noise_sigma": 1.0, "temperature": 0.7, "threshold": 0.0, "use_mask": True}
CONFINED = {**RIDGE, **MASK, "bures_iters": 0, "alignment": 0.1}


def test_ridge_gradient_vanishes() -> None:
    s, w0 = statistics(), weight()
    w = uce_solver(s, **RIDGE)(w0).weight.requires_grad_()

    def loss(w: torch.Tensor) -> torch.Tensor:
        forget = (w @ s.targets.T - w0 @ s.anchors.T).square().sum()
        return forget + ((w - w0) @ s.retained.T).square().sum() + 0.5 * (w - w0).square().sum()

    (gradient,) = torch.autograd.grad(loss(w), w)
    assert gradient.norm() < 1e-10
    assert loss(w) < loss(w0)


def test_large_ridge_returns_the_original() -> None:
    s, w0 = statistics(), weight()
    for solver in (
        uce_solver(s, **{**RIDGE, "ridge": 1e9}),
        confined_solver(s, **{**CONFINED, "ridge": 1e9}),
        paper_solver(s, ridge=1e9, erase_scale=1.0, noise_sigma=0.01, geodesic_time=0.0, **PARTS),
    ):
        assert torch.allclose(solver(w0).weight, w0, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    m=st.integers(1, 15),
    d=st.integers(2, 9),
    retained=st.integers(0, 4),
    anchors=st.integers(1, 3),
    seed=st.integers(0, 50),
)
def test_confined_equals_the_row_oracle(m: int, d: int, retained: int, anchors: int, seed: int) -> None:
    s, w0 = statistics(m, d, retained, 3, min(anchors, m), seed), weight(4, d)
    gate = torch.tensor([0.0, 0.3, 1.0, 0.7], dtype=torch.float64)
    base = 0.5 * torch.eye(d, dtype=torch.float64) + s.kept_gram
    basis = generalised_eigh(s.gram, base)
    fast = solve_confined(w0, gate, basis, (s.cross - s.gram) @ basis[1], 2.0)
    contexts = s.contexts.targets.double()
    anchored = s.contexts.anchors.double()[s.contexts.anchor_of]
    kept = s.kept.double().flatten(0, 1)
    slow = confined_one_by_one(w0, gate, contexts.flatten(0, 1), anchored.flatten(0, 1), kept, 0.5, 2.0, 1.0)
    assert torch.allclose(fast, slow, atol=1e-10, rtol=1e-10)
    assert (fast[0] == w0[0]).all()


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 5), d=st.integers(1, 6), seed=st.integers(0, 50))
def test_sylvester_equals_kronecker(rows: int, d: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    alpha = torch.rand(rows, generator=g, dtype=torch.float64)
    root, right = (
        torch.randn(d, d, generator=g, dtype=torch.float64),
        torch.randn(rows, d, generator=g, dtype=torch.float64),
    )
    a = root @ root.T + 0.5 * torch.eye(d, dtype=torch.float64)
    w = solve_sylvester(alpha, tuple(torch.linalg.eigh(a)), right)
    assert torch.allclose(w, sylvester_by_kronecker(alpha, a, right), atol=1e-9)
    assert torch.allclose(alpha[:, None] * w + w @ a, right, atol=1e-9)


def test_without_anchor_the_papers_system_has_only_zero() -> None:
    s = statistics()
    system = torch.linalg.eigh(0.5 * torch.eye(12, dtype=torch.float64) + s.gram)
    assert (
        solve_sylvester(torch.ones(7, dtype=torch.float64), tuple(system), torch.zeros(7, 12, dtype=torch.float64)) == 0
    ).all()


def test_the_papers_parts_can_be_left_out() -> None:
    s, w0 = statistics(), weight()
    common = {"ridge": 0.5, "erase_scale": 1.0, "noise_sigma": 0.5, "geodesic_time": 0.0}
    plain = paper_solver(s, **common, spectral_gate=False, use_mask=False)(w0).weight
    eye = torch.eye(12, dtype=torch.float64)
    assert torch.allclose(plain @ (0.5 * eye + s.gram), 0.5 * w0 + w0 @ s.cross)
    for part in PARTS:
        assert not torch.allclose(paper_solver(s, **common, **PARTS | {part: False})(w0).weight, plain, atol=1e-3)


def test_paper_gate_saturates_and_median_gate_does_not() -> None:
    large = torch.diag(torch.tensor([40.0, 50.0, 60.0], dtype=torch.float64))
    assert overlap_regulariser(large).norm() < 1e-10  # R vanishes where overlap is largest
    assert overlap_regulariser(large / 40).norm() > 0.1
    gate = spectral_gate(torch.tensor([60.0, 50.0, 40.0]), 1.0, 1.0)
    assert gate[0] > 0.99
    assert gate[1] == 0.5
    assert gate[2] < 0.01


@pytest.mark.parametrize("anchors", [1, 3])
@pytest.mark.parametrize("share", [1, 2])
def test_masked_cross_equals_the_double_sum(anchors: int, share: int) -> None:
    s, w0 = statistics(anchors=anchors, share=share), weight()
    masks = torch.rand(5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    contexts, anchored = s.contexts.targets.double(), s.contexts.anchors.double()[s.contexts.anchor_of]
    each = masks.repeat_interleave(share, 0)
    assert torch.allclose(masked_cross(w0, s, masks), masked_cross_by_sum(w0, each, contexts, anchored))
    ones = torch.ones_like(each)
    assert torch.allclose(masked_cross(w0, s, None), masked_cross_by_sum(w0, ones, contexts, anchored))


def test_confined_rows_without_a_gate_are_untouched() -> None:
    s, w0 = statistics(), weight(40)
    # a high power sends the soft mask of uninformative rows to exactly zero
    solution = confined_solver(s, **{**CONFINED, "p": 2000.0, "bures_iters": 1})(w0)
    same = (solution.weight == w0).all(1)
    assert 0 < int(same.sum()) < 40


def test_confined_threshold_closes_rows_and_changes_no_other() -> None:
    s, w0 = statistics(), weight(40)
    whole = confined_solver(s, **CONFINED)(w0)
    part = confined_solver(s, **CONFINED | {"threshold": 0.5})(w0)
    closed = (part.weight == w0).all(1)
    assert 0 < int(closed.sum()) < 40
    assert torch.equal(part.weight[~closed], whole.weight[~closed])


def test_confined_targets_and_retained_enter_by_their_means() -> None:
    s, w0 = statistics(), weight()
    pairs = s.contexts
    targets = {
        "targets": s.targets.repeat(2, 1),
        "anchors": s.anchors.repeat(2, 1),
        "contexts": replace(
            pairs,
            targets=pairs.targets.repeat(2, 1, 1),
            anchor_of=pairs.anchor_of.repeat(2),
            last=pairs.last.repeat(2),
        ),
    }
    retained = {"retained": s.retained.repeat(3, 1), "kept": s.kept.repeat(3, 1, 1)}
    once = confined_solver(s, **CONFINED)(w0).weight
    for more in (targets, retained):
        assert torch.allclose(confined_solver(replace(s, **more), **CONFINED)(w0).weight, once)


def test_matched_neutrals_are_the_nearest_kept_concepts() -> None:
    kept = torch.eye(3, dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.9, 0.2], [4.0, 1.0, 4.5]], dtype=torch.float64)
    assert (matched_neutrals(targets, kept, kept[0]) == kept[[0, 2]]).all()
    assert (matched_neutrals(targets, kept[:0], kept[1]) == kept[1]).all()


def test_nearly_the_same_cannot_stand_in() -> None:
    kept = torch.eye(3, dtype=torch.float64)
    row = torch.tensor([[1.0, 0.5, 0.1]], dtype=torch.float64)  # cosine 0.89 with the first
    assert (nearest(row, kept) == 1).all()
    assert (nearest(row, kept[:1]) == 0).all()  # nothing else is left
    assert (nearest(kept[:1] + 1.8, kept) == 0).all()  # cosine 0.74


def test_diagnostics_say_what_happened() -> None:
    s, w0 = statistics(), weight()
    facts = diagnose(w0, uce_solver(s, **{**RIDGE, "ridge": 1e-8, "retain_scale": 0.0})(w0), s)
    assert facts["residual"] < 1e-6
    assert facts["drift"] > 0.1
    assert facts["retained_drift"] > 0.1
    kept = diagnose(w0, uce_solver(s, **{**RIDGE, "retain_scale": 1e8})(w0), s)
    assert kept["retained_drift"] < 1e-6


def test_moments_do_not_depend_on_chunks_and_equal_sums() -> None:
    s = statistics(m=600, d=6, anchors=4, length=3)
    contexts, anchors = s.contexts.targets.double(), s.contexts.anchors.double()[s.contexts.anchor_of]
    assert torch.allclose(s.gram, torch.einsum("mld,mle->de", contexts, contexts))
    assert torch.allclose(s.cross, torch.einsum("mld,mle->de", anchors, contexts))


def test_solutions_turn_with_text_space_and_change_nothing_without_pressure() -> None:
    s, w0 = statistics(), weight()
    q = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(4), dtype=torch.float64))[0]
    paper = {"ridge": 0.5, "erase_scale": 1.0, "noise_sigma": 0.5, "geodesic_time": 0.2, **PARTS}
    cases = ((uce_solver, RIDGE), (confined_solver, CONFINED | {"bures_iters": 1}), (paper_solver, paper))
    for solver, settings_ in cases:
        straight, rotated = solver(s, **settings_)(w0).weight, solver(turned(s, q), **settings_)(w0 @ q).weight
        assert torch.allclose(rotated, straight @ q, atol=1e-5)
        assert not torch.allclose(rotated, straight, atol=1e-2)
    for solver, settings_ in cases[:2]:
        assert torch.allclose(solver(s, **settings_ | {"erase_scale": 0.0})(w0).weight, w0, atol=1e-12)
