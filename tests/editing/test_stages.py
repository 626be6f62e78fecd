"""Erasing in stages: text encoder first, UNet for what is left; the pipeline itself is never changed."""

from __future__ import annotations

import pytest
import scapre
import torch
from scapre.editing import stages
from scapre.editing.stages import prepare_stages
from scapre.methods.closed.staged import falling
from scapre.methods.registry import complete
from scapre.model.fingerprint import fingerprint
from scapre.text.inner import places_of, read_inner
from toys import tiny_pipe, tiny_xl_pipe

TARGETS, KEPT = ["cat", "lemon"], ["dog", "sun", "boat"]
EASY = {"inner_ridge": 1e-6, "inner_retain_scale": 0.0, "vocabulary": 0.0}


def state(pipe) -> str:
    return fingerprint(pipe.text_encoder.state_dict() | {f"u.{n}": w for n, w in pipe.unet.state_dict().items()})


def erase(pipe, targets=TARGETS, **settings):
    return scapre.erase(pipe, targets, retained=KEPT, progress=False, **settings)


def test_both_parts_are_edited_and_the_pipeline_stays_as_it_was() -> None:
    pipe = tiny_pipe()
    before = state(pipe)
    patch = erase(pipe)
    assert state(pipe) == before
    parts = {name.split(".")[0] for name in patch.changed}
    assert "text_encoder" in parts
    assert len(parts) > 1
    with patch.applied(pipe):
        assert state(pipe) != before
    assert state(pipe) == before


def test_a_target_leaves_the_first_block_as_its_anchor_does() -> None:
    pipe = tiny_pipe()
    (place,) = places_of(pipe, 1)
    anchor = read_inner(pipe, [place], ["dog"])[place]
    patch = scapre.erase(
        pipe, ["cat"], anchors="dog", templates="name", retained=KEPT, blocks=1, progress=False, **EASY
    )
    with patch.applied(pipe):
        now = read_inner(pipe, [place], ["cat"])[place]
    assert torch.allclose(now.outputs[:, 1:], anchor.outputs[:, 1:], atol=1e-3)
    assert patch.diagnostics[place]["residual"] < 1e-3


def test_without_blocks_the_unet_alone_is_edited() -> None:
    pipe = tiny_pipe()
    patch = erase(pipe, blocks=0, same=0.0)
    assert not any(name.startswith("text_encoder") for name in patch.edited)
    assert "words" not in patch.provenance


def test_every_stage_lowers_what_the_model_tells_of_the_targets() -> None:
    pipe = tiny_pipe()
    patches = [erase(pipe, blocks=blocks, halfway=0.0, **EASY) for blocks in (1, 2)]
    left = [sum(row["residual"] for name, row in p.diagnostics.items() if "attn2" in name) for p in patches]
    assert left[0] > left[1]


def test_behind_an_edited_encoder_the_unet_is_pushed_less_the_more_targets_there_are() -> None:
    pipe, push = tiny_pipe(), {"erase_scale": 90.0}
    alone, behind = erase(pipe, blocks=0, **push), erase(pipe, halfway=5.0, **push)
    same = erase(pipe, blocks=0, erase_scale=falling(90.0, 5.0, len(TARGETS)))
    for name, weight in same.edited.items():
        assert torch.equal(weight, behind.edited[name])
        assert not torch.equal(weight, alone.edited[name])


def test_the_order_of_targets_does_not_matter() -> None:
    pipe = tiny_pipe()
    one, two = erase(pipe, TARGETS), erase(pipe, TARGETS[::-1])
    assert all(torch.allclose(w, two.edited[n], atol=1e-4) for n, w in one.edited.items())


def test_an_error_on_the_way_leaves_the_encoder_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_pipe()
    before = state(pipe)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("in between")

    monkeypatch.setattr(stages, "_features_now", fail)
    with pytest.raises(RuntimeError, match="in between"):
        erase(pipe)
    assert state(pipe) == before


def test_without_anything_named_the_vocabulary_gives_anchors_and_is_kept() -> None:
    pipe = tiny_pipe()
    patch = scapre.erase(pipe, TARGETS, progress=False)
    assert set(patch.provenance["anchors"]).isdisjoint(TARGETS)
    assert all(anchor.strip() for anchor in patch.provenance["anchors"])


def test_a_style_without_more_words_turns_into_another_one_in_the_same_words() -> None:
    about = scapre.erase(tiny_pipe(), ["ink style"], progress=False).provenance
    pairs = dict(zip(about["targets"], about["anchors"], strict=True))
    other = pairs["ink style"].removesuffix(" style")
    assert other in {"noto", "flat"}  # the names of the others are longer than this model reads
    assert pairs["in ink"] == f"in {other}"
    assert set(about["anchors"]) < set(about["retained"])
    told = scapre.erase(tiny_pipe(), ["ink style"], retained=["sun", "flat style"], progress=False).provenance
    assert told["anchors"][0] == "flat style"
    assert {"sun", "a picture of a sun", "in flat"} < set(told["retained"])
    plain = scapre.erase(tiny_pipe(), ["ink style"], templates="name", progress=False).provenance
    assert plain["targets"] == ["ink style"]


def test_a_word_that_means_a_target_goes_with_it_unless_it_is_kept() -> None:
    pipe = tiny_pipe()
    with torch.no_grad():
        ids = pipe.tokenizer(["cat", "rose"], add_special_tokens=False).input_ids
        table = pipe.text_encoder.get_input_embeddings().weight
        table[ids[1][0]] = table[ids[0][0]] + 0.03 * table[ids[1][0]]
    near = {"anchors": "dog", "same": 0.3, "progress": False}
    patch = scapre.erase(pipe, ["cat"], retained=["dog"], **near)
    assert "rose" in patch.provenance["words"]["cat"]
    assert patch.provenance["targets"] == ["cat"]
    patch = scapre.erase(pipe, ["cat"], retained=["dog", "rose"], **near)
    assert "rose" not in patch.provenance.get("words", {}).get("cat", [])


def test_two_encoders_are_edited_in_sdxl() -> None:
    pipe = tiny_xl_pipe()
    patch = erase(pipe, blocks=1)
    assert {n.split(".")[0] for n in patch.edited if n.startswith("text")} == {"text_encoder", "text_encoder_2"}


def test_a_memory_of_sittings_gives_the_edit_of_all_at_once() -> None:
    pipe = tiny_pipe()
    first = scapre.remember(pipe, ["cat"], retained=KEPT, progress=False)
    second = scapre.remember(pipe, ["lemon"], retained=KEPT, progress=False)
    joined, at_once = scapre.solve(pipe, first.joined(second), progress=False), erase(pipe)
    assert all(torch.allclose(w, joined.edited[n], atol=1e-4) for n, w in at_once.edited.items())
    assert prepare_stages(pipe, first, complete("staged", {})).memory.about["targets"][0] == "cat"


KNOBS = ["inner_ridge", "inner_retain_scale", "inner_halfway", "vocabulary", "same", "halfway", "blocks"]


@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_of_the_stages_turns_something(knob: str) -> None:
    pipe, low = tiny_pipe(), {"inner_ridge": 1e-3, "same": 0.0, "blocks": 1}
    high = {
        "inner_ridge": 10.0,
        "inner_retain_scale": 100.0,
        "inner_halfway": 100.0,
        "vocabulary": 1.0,
        "same": 1.0,
        "halfway": 9.0,
        "blocks": 2,
    }
    one, two = erase(pipe, **{knob: low.get(knob, 0.0)}), erase(pipe, **{knob: high[knob]})
    names = set(one.edited) | set(two.edited)
    assert any(n not in one.edited or not torch.allclose(one.edited[n], two.edited[n], atol=1e-4) for n in names)
