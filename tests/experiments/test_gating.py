"""A gate on the rows of a finished patch, and what the rows of the edited places know."""

from __future__ import annotations

import pytest
import scapre
import torch
from oracles import information_at
from scapre.experiments.ablation import GATES, gate_cases
from scapre.experiments.cases import vocabulary
from scapre.experiments.gating import BY_LOT, KNOWING, SOFT, gate_rows, gated, row_information
from scapre.methods.registry import find_method
from scapre.model.weights import part_of, read_weights
from scapre.text.inner import places_of, read_inner
from toys import tiny_pipe

TARGETS, KEPT = ["cat", "lemon"], ["dog", "sun", "boat"]


@pytest.fixture(scope="module")
def edit():
    pipe = tiny_pipe()
    patch = scapre.erase(pipe, TARGETS, anchors=["dog", "sun"], retained=KEPT, templates="name", progress=False)
    return pipe, patch


def change(patch, name: str) -> torch.Tensor:
    return patch.edited[name].double() - patch.original[name].double()


def test_a_gate_scales_the_change_of_its_row_alone(edit) -> None:
    pipe, patch = edit
    name = places_of(pipe, 1)[0]
    gate = torch.linspace(0, 1, len(patch.edited[name]))
    weakened = gated(patch, {name: gate})
    assert torch.allclose(change(weakened, name), gate[:, None].double() * change(patch, name), atol=1e-6)
    assert torch.equal(weakened.edited[name][0], patch.original[name][0])
    assert torch.equal(weakened.edited[name][-1], patch.edited[name][-1])
    others = [other for other in patch.edited if other != name]
    assert all(torch.equal(weakened.edited[other], patch.edited[other]) for other in others)
    assert set(weakened.diagnostics) == set(others)


def test_rows_are_asked_with_what_they_read(edit) -> None:
    pipe, patch = edit
    place = places_of(pipe, 2)[1]
    known = row_information(pipe, patch, "text_encoder")[place]
    keys = [read_inner(pipe, [place], names)[place].keys[:, 1].double() for names in (TARGETS, ["dog", "sun"])]
    weight = read_weights(pipe, [place])[place].double()
    spread = find_method("confined").defaults["noise_sigma"] * keys[0].square().mean().sqrt() * weight.norm(dim=1)
    answers = [read @ weight.T for read in keys]
    for k, i in ((0, 0), (1, 5)):
        one, other = (float(answer[k, i]) for answer in answers)
        truth = information_at((one + other) / 2, one, other, float(spread[i]))
        assert float(known[k, i]) == pytest.approx(truth, abs=1e-8)


def test_behind_the_edited_encoder_rows_know_less_of_the_targets(edit) -> None:
    pipe, patch = edit
    before = row_information(pipe, patch, "unet")
    with patch.part("text_encoder").applied(pipe):
        behind = row_information(pipe, patch, "unet")
    assert set(behind) == {name for name in patch.edited if part_of(name)[0] == "unet"}
    assert sum(i.mean() for i in behind.values()) < 0.5 * sum(i.mean() for i in before.values())


def test_halves_are_halves_and_the_lot_is_drawn_once(edit) -> None:
    pipe, patch = edit
    moved = {}
    for form in (SOFT, KNOWING, BY_LOT):
        found = gate_rows(pipe, patch, "text_encoder", form)
        moved[form] = {name: change(found, name).any(1) for name in places_of(pipe, 2)}
    for name in places_of(pipe, 2):
        assert moved[SOFT][name].all()
        half = moved[KNOWING][name]
        assert len(half) // 2 <= int(half.sum()) == int(moved[BY_LOT][name].sum()) <= len(half) // 2 + 1
        assert not torch.equal(half, moved[BY_LOT][name])
    again = gate_rows(pipe, patch, "text_encoder", BY_LOT)
    assert all(torch.equal(change(again, name).any(1), rows) for name, rows in moved[BY_LOT].items())


def test_cases_gate_one_edit_and_draw_validation_concepts_alone() -> None:
    cases = gate_cases([50], [0], 12)
    assert [case.labels["variant"] for case in cases] == list(GATES)
    assert len({case.key for case in cases}) == len(cases)
    assert len({tuple(case.targets) for case in cases}) == 1
    assert set(cases[0].pictures["concept"]) <= set(vocabulary()[1])
