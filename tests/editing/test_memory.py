"""Erasing in two sittings, the first one's prompts forgotten, equals erasing at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import scapre
import torch
from safetensors import safe_open
from scapre.editing.erase import remember
from scapre.editing.kept import Kept
from scapre.editing.memory import Memory
from scapre.editing.solve import solve
from scapre.methods.registry import SOLVERS, build_solver
from toys import statistics, tiny_pipe, weight

FIRST, SECOND = ["cat", "a picture of a red car"], ["dog", "sun"]


@pytest.fixture
def pipe() -> SimpleNamespace:
    return tiny_pipe()


def distance(one: scapre.Patch, other: scapre.Patch) -> float:
    """Largest difference of the edits over their size, matrix by matrix."""
    return max(
        float((w - other.edited[n]).double().norm() / (w - one.original[n]).double().norm().clamp(min=1e-12))
        for n, w in one.edited.items()
    )


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("templates", ["name", "sentences"])
def test_two_sittings_equal_one(pipe: SimpleNamespace, tmp_path: Path, method: str, templates: str) -> None:
    options = {"method": method, "templates": templates, "progress": False}
    first = remember(pipe, FIRST, anchors=" ", retained=["boat", "dog"], **options)
    file = first.save(tmp_path / "memory.safetensors", pipe)
    later = remember(pipe, SECOND, retained=["boat", "tree"], anchors=["rose", " "], **options)
    both = Memory.load(file, pipe).joined(later)
    # dog was kept and is a target now; boat was kept already
    assert both.about["retained"] == ["boat", "tree"]
    assert both.about["targets"] == FIRST + SECOND
    at_once = scapre.erase(pipe, FIRST + SECOND, retained=["boat", "tree"], anchors=[" ", " ", "rose", " "], **options)
    in_two = solve(pipe, both, method=method, progress=False)
    alone = scapre.erase(pipe, SECOND, retained=["boat", "tree"], anchors=["rose", " "], **options)
    # the released masks are float32 and, where every row sits at the ceiling log 2, their own round-off
    assert distance(at_once, in_two) < (1e-4 if method in {"scapre-scale", "scapre-basic"} else 1e-8)
    assert distance(at_once, alone) > 1e-2
    assert in_two.provenance == at_once.provenance


def test_open_anchors_are_chosen_when_all_kept_concepts_are_known(pipe: SimpleNamespace) -> None:
    first = remember(pipe, FIRST, retained=["boat", "dog"], progress=False)
    # dog may be an anchor of the first sitting, but not once it is a target itself
    assert "dog" in first.anchored().about["anchors"]
    both = first.joined(remember(pipe, SECOND, progress=False))
    assert both.about["anchors"] is None
    at_once = scapre.erase(pipe, FIRST + SECOND, retained=["boat"], progress=False)
    in_two = solve(pipe, both, progress=False)
    assert distance(at_once, in_two) < 1e-8
    assert in_two.provenance == at_once.provenance
    assert set(at_once.provenance["anchors"]) == {"boat"}
    named = first.joined(remember(pipe, SECOND, anchors="rose", progress=False))
    assert named.about["anchors"] == first.anchored().about["anchors"] + ["rose"] * len(SECOND)
    blank = remember(pipe, FIRST, progress=False)
    assert blank.anchored().about["anchors"] == [" "] * len(FIRST)


def test_anchors_are_paired_as_if_named(pipe: SimpleNamespace) -> None:
    long = "a picture of a red car"  # its content token stands later, so fewer positions are left to pair
    targets, retained = ["cat", "dog", "a picture of a boat"], ["boat", "tree", long]
    for templates in ("name", "sentences"):
        options = {"retained": retained, "templates": templates, "progress": False}
        chosen = scapre.erase(pipe, targets, **options)
        assert {long} < set(chosen.provenance["anchors"])  # which others depends on ties in the toy vocabulary
        named = scapre.erase(pipe, targets, anchors=chosen.provenance["anchors"], **options)
        assert distance(named, chosen) < 1e-6


@pytest.mark.parametrize("method", ["staged", "confined"])
def test_a_revoked_target_was_never_there(pipe: SimpleNamespace, tmp_path: Path, method: str) -> None:
    options = {"method": method, "progress": False}
    first = remember(pipe, FIRST, retained=["boat", "dog", "tree"], **options)
    both = first.joined(remember(pipe, SECOND, retained=["cat", "rose"], **options))
    assert both.about["retained"] == ["boat", "tree", "rose"]  # dog and cat are targets now
    held = Memory.load(both.save(tmp_path / "memory.safetensors", pipe), pipe)
    alone = first.joined(remember(pipe, ["sun"], retained=["rose"], **options))
    never, revoked = (solve(pipe, each, method=method, progress=False) for each in (alone, held.without("Dog")))
    assert distance(never, revoked) < 1e-8
    assert distance(never, solve(pipe, both, method=method, progress=False)) > 1e-2
    assert revoked.provenance == never.provenance  # dog is kept again
    spared = remember(pipe, [*FIRST, "sun"], retained=["boat"], **options).without("sun")
    assert (
        distance(
            scapre.erase(pipe, FIRST, retained=["boat"], **options), solve(pipe, spared, method=method, progress=False)
        )
        < 1e-8
    )


def test_what_cannot_be_revoked(pipe: SimpleNamespace) -> None:
    memory = remember(pipe, FIRST, progress=False)
    with pytest.raises(scapre.ConceptError, match="'rose' is no target of this memory; its targets: cat, a picture"):
        memory.without("cat", "rose")
    with pytest.raises(scapre.ConceptError, match="no target would be left"):
        memory.without(*FIRST)


def requests(size: int, order: torch.Tensor) -> Memory:
    """Fifty toy concepts, asked for in this order, so many at a time; the kept ones are known from the start."""
    everything = statistics(m=50, d=24, retained=6, anchors=50)
    about = {"retained": [f"kept {i}" for i in range(6)], "templates": "name", "positions": "content"}
    memory: Memory | None = None
    for places in map(torch.Tensor.tolist, order.split(size)):
        pairs = everything.contexts
        part = replace(
            everything,
            targets=everything.targets[places],
            anchors=everything.anchors[places],
            contexts=replace(
                pairs,
                targets=pairs.targets[places],
                anchors=pairs.anchors[places],
                anchor_of=torch.arange(len(places)),
                last=pairs.last[places],
                anchor_last=pairs.anchor_last[places],
            ),
        )
        names = [str(place) for place in places]
        now = Memory(
            part, about | {"targets": names, "anchors": [f"for {n}" for n in names]}, Kept.of(part, about["retained"])
        )
        memory = memory.joined(now) if memory else now
    assert memory is not None
    return memory


@pytest.mark.parametrize("method", ["staged", "confined"])
@pytest.mark.parametrize("seed", [0, 1])
def test_neither_order_nor_number_of_requests_matters(method: str, seed: int) -> None:
    original, order = weight(9, 24), torch.randperm(50, generator=torch.Generator().manual_seed(seed))

    def edit(memory: Memory) -> torch.Tensor:
        return build_solver(method, memory.statistics, [original], {})(original).weight

    once = edit(requests(50, torch.arange(50)))
    assert (once - original).norm() > 1e-3 * original.norm()
    for size in (1, 5, 10):
        asked = requests(size, order)
        assert (edit(asked) - once).norm() < 1e-12 * original.norm()
        half = [str(place) for place in order[25:].tolist()]
        never = edit(requests(25, order[:25]))
        assert (edit(asked.without(*half)) - never).norm() < 1e-12 * original.norm()


def test_a_file_returns_every_bit(pipe: SimpleNamespace, tmp_path: Path) -> None:
    memory = remember(pipe, FIRST, retained=["boat"], progress=False)
    again = Memory.load(memory.save(tmp_path / "memory.safetensors", pipe), pipe)
    assert again.about == memory.about
    for name in ("gram", "cross", "kept_gram", "targets", "retained", "null"):
        assert getattr(again.statistics, name).equal(getattr(memory.statistics, name))


def test_memories_that_do_not_fit(pipe: SimpleNamespace, tmp_path: Path) -> None:
    memory = remember(pipe, FIRST, progress=False)
    file = memory.save(tmp_path / "memory.safetensors", pipe)
    with pytest.raises(scapre.ConceptError, match="cat: erased before"):
        memory.joined(remember(pipe, ["cat", "dog"], progress=False))
    with pytest.raises(ValueError, match="templates differ: sentences before, name now"):
        memory.joined(remember(pipe, SECOND, templates="name", progress=False))
    with pytest.raises(ValueError, match="another text encoder"):
        memory.joined(remember(tiny_pipe(seed=1), SECOND, progress=False))
    with pytest.raises(ValueError, match="cure reads whole positions"):
        solve(pipe, memory, method="cure", progress=False)
    with (
        scapre.erase(pipe, FIRST, progress=False).applied(pipe),
        pytest.raises(scapre.PatchError, match="undo the edits"),
    ):
        Memory.load(file, pipe)
    with pytest.raises(scapre.PatchError, match="no memory file"):
        Memory.load(tmp_path / "none.safetensors", pipe)
    patch = scapre.erase(pipe, FIRST, progress=False).save(tmp_path / "patch.safetensors")
    with pytest.raises(scapre.PatchError, match="not a scapre-memory"):
        Memory.load(patch, pipe)
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:300])
    with pytest.raises(scapre.PatchError, match="intact"):
        Memory.load(tmp_path / "cut.safetensors", pipe)
    with safe_open(file, "pt") as stored:
        assert stored.get_tensor("contexts.targets").dtype == torch.float32
