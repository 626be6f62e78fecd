"""One edit after another: CEASE's two remedies do what they say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import scapre
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scapre.editing.erase import remember
from scapre.editing.sequence import anchors_kept, in_requests, off_earlier, solve_next
from scapre.editing.solve import solve
from scapre.text.gathering import gather
from toys import tiny_pipe, weight

NULL = {"energy": 1.0, "damping": 0.0}  # DP: kept concepts do not move at all


@pytest.fixture
def pipe() -> SimpleNamespace:
    return tiny_pipe()


def after(pipe: SimpleNamespace, names: list[str], method: str, **options: float | bool) -> list[scapre.Patch]:
    """Erase one name after another, all towards "sun"; the pipeline stays edited."""
    patches: list[scapre.Patch] = []
    for name in names:
        memory = remember(pipe, [name], anchors="sun", retained=["boat"], method=method, progress=False)
        patches.append(solve_next(pipe, memory, patches, method=method, progress=False, **options))
        patches[-1].apply(pipe)
    return patches


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 50))
def test_a_change_off_another_answers_to_none_of_its_inputs(rank: int, seed: int) -> None:
    change = weight(7, 12, seed)
    earlier = weight(7, rank, seed + 1) @ weight(rank, 12, seed + 2)
    left = off_earlier(change, earlier)
    assert (left @ earlier.T).norm() < 1e-2 * change.norm() * earlier.norm()
    rows = torch.linalg.pinv(earlier) @ earlier
    assert (left - (change - change @ rows)).norm() < 2e-2 * change.norm()
    assert torch.equal(off_earlier(change, 0 * change), change)


@pytest.mark.parametrize("templates", ["name", "sentences"])
def test_anchors_are_kept_once(pipe: SimpleNamespace, templates: str) -> None:
    s = gather(pipe, ["cat", "dog", "rose"], anchors=["sun", "boat", "sun"], retained=["boat"], templates=templates)
    told = anchors_kept(s)
    named = gather(pipe, ["cat"], anchors="sun", retained=["boat", "sun"], templates=templates)
    assert torch.allclose(told.retained, named.retained, atol=1e-6)
    assert len(told.kept) == len(told.kept_last) == len(named.kept)
    assert anchors_kept(told).retained.equal(told.retained)
    reach = min(told.kept.shape[1], s.contexts.anchors.shape[1])  # anchors reach as far as they were paired
    assert torch.allclose(told.kept[:, :reach], named.kept[:, :reach], atol=1e-5)
    chosen = gather(pipe, ["cat", "dog"], anchors=None, retained=["boat", "sun"], templates=templates)
    assert anchors_kept(chosen).retained.equal(chosen.retained)  # anchors are kept concepts already


def test_without_remedies_an_edit_is_itself(pipe: SimpleNamespace) -> None:
    memory = remember(pipe, ["cat"], anchors="sun", retained=["boat"], method="uce", progress=False)
    plain = solve(pipe, memory, method="uce", progress=False)
    first = solve_next(pipe, memory, [], method="uce", keep_anchors=False, progress=False)
    assert all(w.equal(plain.edited[name]) for name, w in first.edited.items())


def test_the_anchor_does_not_move_and_edits_do_not_meet(pipe: SimpleNamespace) -> None:
    sun = gather(pipe, ["sun"]).targets[0]
    for remedy in (True, False):
        pipe = tiny_pipe()
        first, *later = after(pipe, ["cat", "dog", "rose"], "dp", keep_anchors=remedy, off=remedy, **NULL)
        for name in first.changed:
            changes = [(p.edited[name].double() - p.original[name].double()) for p in (first, *later)]
            moved = max(float((c @ sun).norm() / (first.original[name].double() @ sun).norm()) for c in changes[1:])
            met = [(a @ b.T).norm() / (a.norm() * b.norm()) for i, a in enumerate(changes) for b in changes[:i]]
            assert (moved < 1e-5) == remedy
            assert (max(met) < 1e-3) == remedy


def test_earlier_targets_stay_erased_better_with_the_remedies() -> None:
    left = {}
    for remedy in (True, False):
        pipe = tiny_pipe()
        s = gather(pipe, ["cat"], anchors="sun")
        first, *_ = after(pipe, ["cat", "dog", "rose", "lemon"], "uce", keep_anchors=remedy, off=remedy)
        now = pipe.unet.state_dict()
        goals = {n: w.double() @ s.anchors[0] for n, w in first.original.items()}
        left[remedy] = sum(float((now[n].double() @ s.targets[0] - g).norm() / g.norm()) for n, g in goals.items())
    assert left[True] < 0.8 * left[False]


def test_a_pipeline_without_the_earlier_patches_is_refused(pipe: SimpleNamespace) -> None:
    memory = remember(pipe, ["cat"], anchors="sun", method="uce", progress=False)
    patch = solve(pipe, memory, method="uce", progress=False)
    with pytest.raises(scapre.PatchError, match="does not hold the earlier patches"):
        solve_next(pipe, memory, [patch], method="uce", progress=False)


@pytest.mark.parametrize("way", ["joined", "again", "remedied"])
def test_requests_leave_the_pipeline_and_end_where_their_steps_do(pipe: SimpleNamespace, way: str) -> None:
    names, asked = ["cat", "dog", "rose"], {"retained": ["boat"], "method": "uce", "anchors": "sun"}
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    patch = in_requests(pipe, names, 1, way, progress=False, **asked)
    assert all(weight.equal(before[name]) for name, weight in pipe.unet.state_dict().items())
    if way == "joined":
        once = scapre.erase(pipe, names, progress=False, **asked)
        # not its own request and order: the same edit
        turned = in_requests(pipe, names[::-1], 2, way, progress=False, **asked)
        for other in (once, turned):
            assert all(torch.allclose(w, other.edited[name], atol=1e-6) for name, w in patch.edited.items())
        return
    expected = tiny_pipe()
    if way == "remedied":
        after(expected, names, "uce")
    else:
        for name in names:
            scapre.erase(expected, [name], progress=False, **asked).apply(expected)
    patch.apply(pipe)
    assert all(weight.equal(pipe.unet.state_dict()[name]) for name, weight in expected.unet.state_dict().items())
    patch.undo(pipe)


def test_requests_that_cannot_be_met_so(pipe: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="give at least one, and one of joined"):
        in_requests(pipe, ["cat"], 0, "joined", method="uce")
    with pytest.raises(ValueError, match="staged edits text encoders first"):
        in_requests(pipe, ["cat"], 1, "again", method="staged")
    with pytest.raises(ValueError, match="cat: asked for beside others"):
        in_requests(pipe, ["cat", "dog"], 2, "again", method="uce", revoked=["cat"], progress=False)
    with pytest.raises(scapre.ConceptError, match="'tree' is no target"):
        in_requests(pipe, ["cat", "dog"], 1, "joined", method="uce", revoked=["tree"], progress=False)


def test_what_is_taken_back_leaves_nothing_in_a_memory_and_its_trace_elsewhere(pipe: SimpleNamespace) -> None:
    asked = {"retained": ["boat"], "method": "uce", "anchors": "sun", "progress": False}
    never = {way: in_requests(pipe, ["cat", "rose"], 1, way, **asked) for way in ("joined", "again")}
    back = {way: in_requests(pipe, ["cat", "dog", "rose"], 1, way, revoked=["dog"], **asked) for way in never}
    apart = {
        way: max(float((back[way].edited[name] - w).abs().max()) for name, w in never[way].edited.items())
        for way in never
    }
    assert apart["joined"] < 1e-6
    assert apart["again"] > 1e-3
    first = in_requests(pipe, ["dog", "cat"], 1, "again", revoked=["dog"], **asked)
    whole, alone = in_requests(pipe, ["dog", "cat"], 1, "again", **asked), scapre.erase(pipe, ["dog"], **asked)
    for name, left in first.edited.items():
        assert torch.allclose(left, whole.edited[name] - alone.edited[name] + alone.original[name], atol=1e-6)
