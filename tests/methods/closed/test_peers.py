"""Theorems of the peers: what each says it minimises, keeps, or finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import cure_by_svd, kept_moment_by_copies, rece_by_layers, speed_by_formula
from scapre.methods.closed.cure import cure_solver, spectral_eraser
from scapre.methods.closed.rece import derived_embedding, rece_solver
from scapre.methods.closed.speed import CENTRES, above_mean, k_means, kept_moment
from scapre.methods.closed.uce import ridge_change, uce_solver
from scapre.methods.registry import METHODS, SOLVERS, build_solver, complete
from scapre.text.statistics import ConceptStatistics
from toys import statistics, turned, weight

PEERS = ("uce", "rece", "speed", "cure", "oce", "dp")
RIDGE = {"ridge": 0.5, "erase_scale": 1.5, "retain_scale": 0.7}
#: settings under which a peer leaves everything as it is, without being off
NO_PRESSURE = {
    "uce": {"ridge": 1e12},
    "rece": {"first_ridge": 1e12, "ridge": 1e12},
    "speed": {"retain_scale": 1e12},
    "cure": {"alpha": 1e-12},
    "oce": {"ridge": 1e12},
    "dp": {"damping": 1e12},
}
shapes = settings(max_examples=25, deadline=None)
sizes = {"m": st.integers(1, 9), "d": st.integers(4, 9), "retained": st.integers(0, 4), "seed": st.integers(0, 50)}


def solve(method: str, s: ConceptStatistics, w0: torch.Tensor, **values: float) -> torch.Tensor:
    return build_solver(method, s, [w0, 2 * w0.flip(0)], values)(w0).weight


def repeated(s: ConceptStatistics, order: list[int], sizes: tuple[float, ...] = ()) -> ConceptStatistics:
    """The same targets taken in another order, more than once, or multiplied."""
    scale = torch.tensor(sizes or [1.0] * len(order))
    pairs = s.contexts
    scaled = pairs.targets[order] * scale[:, None, None]
    taken = replace(pairs, targets=scaled, anchor_of=pairs.anchor_of[order], last=pairs.last[order])
    return replace(s, targets=s.targets[order] * scale[:, None], anchors=s.anchors[order], contexts=taken)


def rows(s: ConceptStatistics) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Contexts, their replacements and kept contexts, one position a row, float64."""
    pairs = s.contexts
    return tuple(x.double().flatten(0, 1) for x in (pairs.targets, pairs.anchors[pairs.anchor_of], s.kept))


# every method


# what the stages before the UNet do is tested in editing/test_stages
KNOBS = [(name, knob) for name in SOLVERS for knob in SOLVERS[name].grids if not knob.startswith("inner_")]


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_every_knob_turns_something(name: str, knob: str) -> None:
    values, s, w0 = SOLVERS[name].grids[knob], statistics(), weight()
    low, high = (build_solver(name, s, [w0], {knob: value})(w0).weight for value in (values[0], values[-1]))
    assert not torch.allclose(low, high, atol=1e-4)


# every peer


@pytest.mark.parametrize("method", PEERS)
def test_no_pressure_leaves_the_original(method: str) -> None:
    s, w0 = statistics(), weight()
    assert torch.allclose(solve(method, s, w0, **NO_PRESSURE[method]), w0, atol=1e-8)
    assert not torch.allclose(solve(method, s, w0), w0, atol=1e-2)


@pytest.mark.parametrize("method", PEERS)
def test_order_of_targets_does_not_matter(method: str) -> None:
    s, w0 = statistics(anchors=3), weight()
    shuffled = repeated(s, [3, 0, 4, 2, 1])
    assert torch.allclose(solve(method, s, w0), solve(method, shuffled, w0), atol=1e-9)
    assert not torch.equal(s.targets, shuffled.targets)


@pytest.mark.parametrize("method", PEERS)
def test_edits_turn_with_text_space(method: str) -> None:
    s, w0 = statistics(), weight()
    q = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(4), dtype=torch.float64))[0]
    straight, rotated = solve(method, s, w0), solve(method, turned(s, q), w0 @ q)
    assert torch.allclose(rotated, straight @ q, atol=1e-5)  # float32 contexts lose 1e-7
    assert not torch.allclose(rotated, straight, atol=1e-2)


@pytest.mark.parametrize("method", PEERS)
def test_duplicates_and_collinear_targets_are_legal(method: str) -> None:
    s, w0 = statistics(m=3), weight()
    twice = solve(method, repeated(s, [0, 1, 2, 0, 1, 2]), w0)
    line = solve(method, repeated(s, [0, 1, 2, 0], (1.0, 1.0, 1.0, -2.0)), w0)
    assert torch.isfinite(twice).all()
    assert torch.isfinite(line).all()
    if method in {"speed", "oce", "dp"}:  # means, spans, answers fitted exactly
        assert torch.allclose(twice, solve(method, s, w0), atol=1e-9)
    else:
        assert not torch.allclose(twice, solve(method, s, w0), atol=1e-4)


@pytest.mark.parametrize("method", PEERS)
def test_more_targets_than_dimensions_are_legal(method: str) -> None:
    s, w0 = statistics(m=40, retained=0), weight()
    edited = solve(method, s, w0)
    assert torch.isfinite(edited).all()
    assert edited.dtype == torch.float64
    assert (edited - w0).norm() > 1e-2 * w0.norm()


@pytest.mark.parametrize(
    ("method", "values", "words"),
    [
        ("rece", {"gamma": 0.0}, "gamma must be positive"),
        ("rece", {"epochs": -1}, "epochs counts; give a whole number"),
        ("rece", {"epochs": 1.5}, "epochs counts; give a whole number"),
        ("speed", {"tau": 0.0}, "tau must be positive"),
        ("speed", {"aug_num": -1}, "aug_num counts"),
        ("speed", {"retain_scale": 0.0}, "retain_scale must be positive for speed"),
        ("cure", {"alpha": 0.0}, "alpha must be positive"),
        ("dp", {"energy": 0.0}, "energy must be positive"),
        ("rece", {"first_ridge": 0.0}, "first_ridge must be positive"),
    ],
)
def test_values_out_of_range_are_refused(method: str, values: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_solver(method, statistics(), [weight()], values)
    assert complete(method, {}) == METHODS[method].defaults


@pytest.mark.parametrize("name", SOLVERS)
def test_no_targets_leave_every_bit(name: str) -> None:
    s, w0 = statistics(), weight()
    none = repeated(s, [])
    assert torch.equal(build_solver(name, none, [w0], {})(w0).weight, w0)


# RECE

RECE = {"first_ridge": 0.5, "ridge": 0.4, "erase_scale": 1.5, "retain_scale": 0.7}


def whole(s: ConceptStatistics) -> ConceptStatistics:
    """The same contexts taken for all positions of prompts of different lengths."""
    pairs = s.contexts
    last, anchor_last = torch.arange(len(pairs.last)) % 3, torch.arange(len(pairs.anchor_last)) % 2
    return replace(s, contexts=replace(pairs, last=last, anchor_last=anchor_last))


@shapes
@given(**sizes, layers=st.integers(1, 3), epochs=st.integers(0, 3))
def test_rece_equals_the_loop_over_layers(m: int, d: int, retained: int, seed: int, layers: int, epochs: int) -> None:
    s = whole(statistics(m, d, retained, 4, min(2, m), seed))
    weights = [weight(3 + i, d, seed + i) for i in range(layers)]
    solver = rece_solver(s, weights, **RECE, gamma=0.3, epochs=epochs)
    first, again, kept = rows(s.from_content())[:2], rows(s)[:2], torch.cat([rows(s)[2], s.blank])
    retains = round(max(0.1, 1 / (1 + retained)), 3), 0.7
    slow = rece_by_layers(weights, first, again, kept, (0.5, 0.4), 1.5, retains, 0.3, epochs)
    for w0, expected in zip(weights, slow, strict=True):
        assert torch.allclose(solver(w0).weight, expected, atol=1e-9, rtol=1e-9)


def test_rece_without_epochs_is_uce_where_one_position_counts() -> None:
    s, w0 = statistics(length=2, retained=1), weight()
    one = replace(s.contexts, targets=s.contexts.targets[:, :1], anchors=s.contexts.anchors[:, :1])
    one = replace(s, contexts=one, kept=s.kept[:, :1])
    told = replace(s, retained=torch.cat([s.retained, s.blank]))  # the empty prompt is kept, too
    plain = uce_solver(told, ridge=0.5, erase_scale=1.5, retain_scale=0.5)(w0).weight  # ρ = 1 / (1 + 1)
    first = rece_solver(one, [w0], **RECE, gamma=0.1, epochs=0)(w0).weight
    assert torch.allclose(first, plain, atol=1e-12)
    assert not torch.allclose(rece_solver(one, [w0], **RECE, gamma=0.1, epochs=1)(w0).weight, plain, atol=1e-3)


def test_every_epoch_is_the_best_of_its_objective_from_where_one_is() -> None:
    s, w0 = whole(statistics(anchors=2)), weight()
    before, after = (rece_solver(s, [w0], **RECE, gamma=0.3, epochs=e)(w0).weight for e in (1, 2))
    targets, goals, kept = rows(s)
    kept = torch.cat([kept, s.blank])
    factor = torch.linalg.pinv(w0) @ before  # W₀F is all that is read of F
    derived = targets @ derived_embedding(factor, w0.T @ w0, 0.3).T
    moved = after.clone().requires_grad_()

    def loss(w: torch.Tensor) -> torch.Tensor:
        keep = 0.7 * ((w - before) @ kept.T).square().sum() + 0.4 * (w - before).square().sum()
        return 1.5 * (w @ derived.T - before @ goals.T).square().sum() + keep

    (gradient,) = torch.autograd.grad(loss(moved), moved)
    assert gradient.norm() < 1e-9
    assert loss(moved) < loss(before)


def test_the_derived_embedding_is_the_best_of_its_objective() -> None:
    s, weights = statistics(), [weight(seed=i) for i in range(3)]
    change, _ = ridge_change((s.gram, s.cross - s.gram, s.kept_gram), *RIDGE.values())
    factor = torch.eye(12, dtype=torch.float64) + change
    c = s.targets[0]
    derive = derived_embedding(factor, sum(w.T @ w for w in weights), 0.3)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return sum(((w @ factor) @ x - w @ c).square().sum() for w in weights) + 0.3 * x.square().sum()

    found = (derive @ c).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(found), found)
    assert gradient.norm() < 1e-10
    assert loss(found) < 0.5 * loss(c)  # the concept's own embedding no longer answers
    far = derived_embedding(factor, sum(w.T @ w for w in weights), 1e12)
    assert (far @ c).norm() < 1e-8


def test_rece_changes_nothing_more_at_infinite_gamma_and_reproduces_all_at_infinite_ridge() -> None:
    s, w0 = whole(statistics(m=2, retained=0)), weight()
    first, far, near = (
        rece_solver(s, [w0], **RECE, gamma=g, epochs=e)(w0).weight for g, e in ((1.0, 0), (1e14, 3), (1.0, 3))
    )
    assert torch.allclose(far, first, atol=1e-8)
    assert not torch.allclose(near, first, atol=1e-2)
    untouched = rece_solver(s, [w0], **{**RECE, "first_ridge": 1e14}, gamma=1e-12, epochs=0)(w0).facts
    assert untouched["reproduced"] > 1 - 1e-6


# SPEED

PLAIN = {"tau": 1e-6, "retain_scale": 0.5, "prior_filter": False, "aug_num": 0}


def fixed(s: ConceptStatistics) -> torch.Tensor:
    return torch.cat([s.blank[:1], k_means(s.blank[1:], CENTRES)]).T


@shapes
@given(**sizes, copies=st.integers(0, 4), prior_filter=st.booleans())
def test_no_copy_needs_to_be_formed(m: int, d: int, retained: int, seed: int, copies: int, prior_filter: bool) -> None:
    s, w0 = statistics(m, d, retained + 1, 4, 1, seed), weight(5, d, seed)
    g = torch.Generator().manual_seed(seed)
    provisional = torch.randn(d, d, generator=g, dtype=torch.float64)
    noise = torch.randn(retained + 1, copies, generator=g, dtype=torch.float64)
    fast = kept_moment(w0, s.retained, provisional, noise, prior_filter)
    slow = kept_moment_by_copies(w0, s.retained, provisional, noise, prior_filter)
    assert torch.allclose(fast, slow, atol=1e-10, rtol=1e-10)


@shapes
@given(**{**sizes, "d": st.integers(6, 10), "retained": st.integers(1, 4)}, tau=st.sampled_from([1e-6, 0.5, 2.0]))
def test_speed_equals_its_formula(m: int, d: int, retained: int, seed: int, tau: float) -> None:
    s, w0 = statistics(m, d, retained, 6, min(2, m), seed), weight(5, d, seed)
    moment = s.retained.T @ s.retained / retained
    fast = solve("speed", s, w0, **{**PLAIN, "tau": tau})
    slow = speed_by_formula(w0, s.targets, s.anchors, moment, fixed(s), tau, 0.5)
    assert torch.allclose(fast, slow, atol=1e-9, rtol=1e-9)  # the oracle inverts a 4 × 4 system


def test_speed_is_the_best_of_what_its_constraints_allow() -> None:
    s, w0 = statistics(length=6), weight()
    edited = solve("speed", s, w0, **PLAIN).requires_grad_()
    keep = torch.linalg.qr(torch.cat([s.retained, fixed(s).T]).T)[0]
    allowed = torch.eye(12, dtype=torch.float64) - keep @ keep.T

    def loss(w: torch.Tensor) -> torch.Tensor:
        return (w @ s.targets.T - w0 @ s.anchors.T).square().sum() / len(s.targets) + 0.5 * (w - w0).square().sum()

    (gradient,) = torch.autograd.grad(loss(edited), edited)
    assert (gradient @ allowed).norm() < 1e-10
    assert gradient.norm() > 1e-2  # the constraints do hold it back
    assert ((edited - w0) @ keep).norm() < 1e-10
    assert loss(edited) < loss(w0)


def test_speed_keeps_retained_concepts_while_there_is_room() -> None:
    w0 = weight(20, 32)
    for retained in (0, 1, 10, 25):
        s = statistics(5, 32, retained, 6)
        for values in ({"prior_filter": False, "aug_num": 0}, {"prior_filter": False, "aug_num": 3}):
            change = solve("speed", s, w0, **{**PLAIN, **values}) - w0
            assert (change @ s.retained.T).norm() <= 1e-5 * (w0 @ s.retained.T).norm()
            assert (change @ s.targets.T).norm() > 1e-3 * (w0 @ s.targets.T).norm()
    free = solve("uce", s, w0, retain_scale=0.0) - w0
    assert (free @ s.retained.T).norm() > 0.1 * (w0 @ s.retained.T).norm()


def test_speed_protects_only_what_passes_the_filter() -> None:
    s, w0 = statistics(5, 32, 10, 6), weight(20, 32)
    change = solve("speed", s, w0, **{**PLAIN, "prior_filter": True, "aug_num": 1}) - w0
    moved = (change @ s.retained.T).norm(dim=0) / (w0 @ s.retained.T).norm(dim=0)
    assert 0 < int((moved < 1e-9).sum()) < 10
    # without copies the filter is off
    plain, filtered = (solve("speed", s, w0, **{**PLAIN, "prior_filter": on}) for on in (False, True))
    assert torch.equal(plain, filtered)


def test_speed_without_kept_concepts_keeps_the_empty_prompt() -> None:
    s, w0 = statistics(5, 32, 0, 6), weight(20, 32)
    change = solve("speed", s, w0, **PLAIN) - w0
    assert (change @ s.blank.T).norm() < 1e-9 * (w0 @ s.blank.T).norm()
    told = solve("speed", replace(s, retained=s.blank[1:]), w0, **PLAIN) - w0
    assert torch.equal(change, told)
    assert change.norm() > 1e-2 * w0.norm()


@pytest.mark.parametrize("retained", [32, 40])
def test_speed_stands_still_when_kept_concepts_fill_the_space(retained: int) -> None:
    s, w0 = statistics(5, 32, retained, 6), weight(20, 32)
    solution = build_solver("speed", s, [w0], PLAIN)(w0)
    assert torch.equal(solution.weight, w0)
    assert solution.facts["free"] == 0
    assert build_solver("speed", s, [w0], {**PLAIN, "tau": 1e9})(w0).facts["free"] == 32


def test_a_kept_blank_makes_its_constraint_empty_not_singular() -> None:
    s, w0 = statistics(5, 32, 3, 6), weight(20, 32)
    kept = torch.cat([s.retained, s.blank])
    with_blank = replace(s, retained=kept)
    edited = solve("speed", with_blank, w0, **PLAIN)
    values, vectors = torch.linalg.eigh(kept.T @ kept)
    free = vectors[:, values < 1e-6]
    t = s.targets.T @ s.targets / 5
    inner = torch.linalg.inv(free.T @ t @ free + 0.5 * torch.eye(free.shape[1], dtype=torch.float64))
    expected = w0 + w0 @ (s.anchors - s.targets).T @ s.targets / 5 @ free @ inner @ free.T
    assert torch.allclose(edited, expected, atol=1e-9)
    assert not torch.allclose(edited, w0, atol=1e-3)


def test_copies_fence_one_more_direction_and_the_seed_only_how_firmly() -> None:
    s, w0 = statistics(5, 32, 10, 6), weight(20, 32)
    free = [build_solver("speed", s, [w0], {**PLAIN, "aug_num": n})(w0).facts["free"] for n in (0, 1, 10)]
    assert free == [22, 21, 21]
    for tau, alike in ((1e-6, True), (1.0, False)):
        values = {"tau": tau, "prior_filter": False}
        drawn = [build_solver("speed", s, [w0], values, seed)(w0).weight for seed in (0, 0, 1)]
        assert torch.equal(drawn[0], drawn[1])
        assert torch.allclose(drawn[0], drawn[2], atol=1e-9) == alike


def test_centres_and_filter_by_hand() -> None:
    points = torch.tensor([[0.0, 0.0], [0.2, 0.0], [9.0, 0.0], [9.2, 0.0], [0.0, 7.0], [0.0, 7.4]])
    centres = k_means(points, 3)
    assert torch.allclose(centres[centres.sum(1).argsort()], torch.tensor([[0.1, 0.0], [0.0, 7.2], [9.1, 0.0]]))
    assert torch.equal(k_means(points[:1].expand(5, 2), 3), torch.zeros(3, 2))
    assert above_mean(torch.tensor([0.1, 0.1, 0.1])).all()
    assert above_mean(torch.tensor([1.0, 2.0, 6.0])).tolist() == [False, False, True]


# CURE


@shapes
@given(**sizes, alpha=st.sampled_from([0.5, 1.0, 2.0, 5.0, 1e3]))
def test_cure_equals_the_singular_value_decomposition(m: int, d: int, retained: int, seed: int, alpha: float) -> None:
    s, w0 = statistics(m, d, retained, 3, 1, seed), weight(5, d, seed)
    forget, _, keep = rows(s)
    expected = cure_by_svd(w0, forget, keep, alpha)
    assert torch.allclose(cure_solver(s, alpha=alpha, per_concept=False)(w0).weight, expected, atol=1e-10)
    if m == 1:
        assert torch.allclose(cure_solver(s, alpha=alpha, per_concept=True)(w0).weight, expected, atol=1e-10)


def test_orthogonal_concepts_are_erased_as_if_one_after_the_other() -> None:
    s, w0 = statistics(m=3, retained=0, length=4), weight(20)
    blocks = torch.zeros(3, 4, 12)
    for k in range(3):  # each concept lives in its own four dimensions, with the same energy
        own = s.contexts.targets[k, :, :4]
        blocks[k, :, 4 * k : 4 * k + 4] = own / own.norm()
    apart = replace(s, contexts=replace(s.contexts, targets=blocks))
    edited = w0
    for k in range(3):
        edited = solve("cure", repeated(apart, [k]), edited)
    assert torch.allclose(solve("cure", apart, w0), edited, atol=1e-6)
    assert not torch.allclose(solve("cure", apart, w0, per_concept=False), edited, atol=1e-2)


def test_the_expansion_runs_from_energy_to_projector() -> None:
    gram = statistics(m=2, length=2).gram  # rank 4 of 12
    energy, soft, hard = (spectral_eraser(gram, alpha) for alpha in (1.0, 2.0, 1e8))
    assert torch.allclose(energy, gram / gram.trace(), atol=1e-12)
    assert torch.allclose(hard @ hard, hard, atol=1e-6)
    assert abs(float(hard.trace()) - 4) < 1e-6
    assert not torch.allclose(soft @ soft, soft, atol=1e-2)
    for expanded in (soft, spectral_eraser(gram, 2.0, 40)):
        values = torch.linalg.eigvalsh(expanded)
        assert values.min() > -1e-12
        assert values.max() < 1 + 1e-12


def test_hard_cure_spares_kept_prompts_and_takes_all_without_them() -> None:
    s, w0 = statistics(m=2, d=32, retained=3), weight(20, 32)
    forget, _, keep = rows(s)
    edited = solve("cure", s, w0, alpha=1e8)
    assert ((edited - w0) @ keep.T).norm() < 1e-5 * (w0 @ keep.T).norm()
    alone = solve("cure", replace(s, kept=s.kept[:0]), w0, alpha=1e8)
    assert (alone @ forget.T).norm() < 1e-5 * (w0 @ forget.T).norm()
    assert ((alone - w0) @ keep.T).norm() > 0.1 * (w0 @ keep.T).norm()


def test_cure_does_not_read_anchors() -> None:
    s, w0 = statistics(), weight()
    other = replace(s, anchors=-s.anchors, contexts=replace(s.contexts, anchors=-s.contexts.anchors))
    assert torch.equal(solve("cure", s, w0), solve("cure", other, w0))
    assert not torch.allclose(solve("uce", s, w0), solve("uce", other, w0))
