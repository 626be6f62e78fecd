from __future__ import annotations

import pytest
import scapre
import torch
from scapre.concepts.names import ConceptError
from scapre.text.embeddings import Contexts, Encoded, encode, encode_ends, pair_contexts, read_tokens, remember_prompts
from scapre.text.gathering import check_names, gather
from toys import tiny_pipe, tiny_xl_pipe


def test_last_content_token_and_blank_prompts() -> None:
    pipe = tiny_pipe()
    encoded = encode(pipe, ["cat", "a picture of a red car", "", " "])
    lengths = [len(pipe.tokenizer(w).input_ids) for w in ("cat", "a picture of a red car", "", " ")]
    assert encoded.last.tolist() == [n - 2 for n in lengths]
    assert encoded.last[2:].tolist() == [0, 0]
    alone = pipe.text_encoder(pipe.tokenizer("cat", padding="max_length", return_tensors="pt").input_ids)
    assert torch.allclose(encoded.features[0], alone.last_hidden_state[0, lengths[0] - 2], atol=1e-6)


def literal(target: Encoded, anchor: Encoded) -> tuple[list[int], list[int]]:
    """The reference's positions: f_o … T−1−max(0, f−f_o) and f_n … T−1−max(0, f−f_n)."""
    length, f_o, f_n = target.hidden.shape[1], int(target.last[0]), int(anchor.last[0])
    f = max(f_o, f_n)
    return list(range(f_o, length - (f - f_o))), list(range(f_n, length - (f - f_n)))


def test_positions_are_paired_as_in_the_reference() -> None:
    g = torch.Generator().manual_seed(0)
    for f_o, f_n in ((1, 0), (0, 3), (4, 4), (2, 6)):
        target, anchor = (Encoded(torch.randn(1, 8, 3, generator=g), torch.tensor([f])) for f in (f_o, f_n))
        mine, theirs = literal(target, anchor)
        assert len(mine) == len(theirs)
        paired: Contexts = pair_contexts(target, anchor, torch.tensor([0]))
        assert torch.equal(paired.targets[0], target.hidden[0, mine])
        assert torch.equal(paired.anchors[0, : len(theirs)], anchor.hidden[0, theirs])


def test_shorter_targets_are_padded_with_zeros() -> None:
    g = torch.Generator().manual_seed(0)
    targets = Encoded(torch.randn(2, 8, 3, generator=g), torch.tensor([1, 4]))
    anchor = Encoded(torch.randn(1, 8, 3, generator=g), torch.tensor([0]))
    paired = pair_contexts(targets, anchor, torch.tensor([0, 0]))
    assert paired.targets.shape == (2, 7, 3)
    assert (paired.targets[1, 4:] == 0).all()
    assert (paired.targets[1, :4] != 0).all()


def test_a_richer_template_set_pools_and_does_not_erase_more_strongly() -> None:
    pipe = tiny_pipe()
    one = gather(pipe, ["cat", "dog"], retained=["sun"])
    many = gather(pipe, ["cat", "dog"], retained=["sun"], templates="sentences")
    assert many.targets.shape == one.targets.shape
    assert many.retained.shape == one.retained.shape
    assert not torch.allclose(many.targets, one.targets)
    assert 0.4 < float(many.gram.trace() / one.gram.trace()) < 1.5
    assert 0.4 < float(many.kept_gram.trace() / one.kept_gram.trace()) < 1.5


def test_one_anchor_for_all_equals_the_same_anchor_for_each() -> None:
    pipe = tiny_pipe()
    for method in ("confined", "scapre-basic", "uce"):
        one = scapre.erase(pipe, ["cat", "dog"], anchors="sun", method=method, progress=False)
        each = scapre.erase(pipe, ["cat", "dog"], anchors=["sun", "sun"], method=method, progress=False)
        assert all(torch.equal(one.edited[k], each.edited[k]) for k in one.edited)


def test_two_text_encoders_stand_side_by_side() -> None:
    pipe = tiny_xl_pipe()
    encoded = encode(pipe, ["cat", "dog"])
    assert encoded.hidden.shape == (2, 12, 64)
    patch = scapre.erase(pipe, ["cat"], retained=["dog"], progress=False)
    with patch.applied(pipe):
        assert all(facts["drift"] > 0 for facts in patch.diagnostics.values())


def test_remembered_prompts_are_encoded_once_and_alike() -> None:
    pipe = tiny_pipe()
    words = ["cat", "a picture of a red car", "cat", ""]
    plain = encode(pipe, words)
    remember_prompts(pipe)
    encode(pipe, words[:2])
    calls = []
    pipe.text_encoder.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    again = encode(pipe, words)
    assert calls == [1]  # only the empty prompt is new
    assert torch.allclose(again.hidden, plain.hidden, atol=1e-6)
    assert again.last.tolist() == plain.last.tolist()


def test_a_sentence_given_twice_is_run_once() -> None:
    pipe = tiny_pipe()
    calls: list[int] = []
    pipe.text_encoder.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    twice = encode(pipe, ["cat", "dog", "cat"])
    assert calls == [2]
    each = [encode(pipe, [prompt]) for prompt in ("cat", "dog", "cat")]
    assert torch.allclose(twice.hidden, torch.cat([one.hidden for one in each]), atol=1e-6)
    assert twice.last.tolist() == [int(one.last) for one in each]


@pytest.mark.parametrize("make", [tiny_pipe, tiny_xl_pipe])
def test_ends_are_those_of_whole_windows_without_the_padding(make) -> None:
    pipe, prompts = (
        make(),
        ["a picture of a red car", "cat", "", "cat dog sun boat tree rose lemon car red cat dog sun"],
    )
    lengths: list[int] = []
    pipe.text_encoder.register_forward_hook(lambda module, inputs, output: lengths.append(inputs[0].shape[1]))
    ends = encode_ends(pipe, prompts, batch=2)
    assert lengths == [3, 12]  # start and end beside the longest of two
    assert torch.allclose(ends, encode(pipe, prompts).features, atol=1e-6)


def test_an_encoder_that_looks_ahead_reads_its_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_pipe()
    lengths: list[int] = []
    pipe.text_encoder.register_forward_hook(lambda module, inputs, output: lengths.append(inputs[0].shape[1]))
    monkeypatch.setattr("scapre.text.embeddings.causal", lambda _: False)
    encode_ends(pipe, ["cat"])
    assert lengths == [12]


def test_what_the_tokenizer_cannot_tell_apart_is_one_concept() -> None:
    pipe = tiny_pipe()
    assert check_names(pipe, "Cat ", ["dog", "DOG", "golden  dog"]) == (["Cat"], ["dog", "golden dog"])
    for targets, retained in ((["cat", "CAT"], []), (["cafe\u0301"], ["caf\u00e9"])):
        with pytest.raises(ConceptError, match=r"more than once|both target and retained"):
            check_names(pipe, targets, retained)


def test_names_longer_than_the_window_are_refused_and_cut_sentences_are_said(caplog: pytest.LogCaptureFixture) -> None:
    pipe = tiny_pipe()
    long = "cat dog sun boat tree rose lemon car red cat dog"
    with pytest.raises(ConceptError, match="is longer than the 10 tokens the text encoder reads; shorten it"):
        check_names(pipe, [long + " sun", long + " boat"])
    with pytest.raises(ConceptError, match=r"the anchor .* is longer"):
        gather(pipe, ["cat"], anchors=long)
    check_names(pipe, ["cat"], templates="sentences")
    assert "longer than the text encoder reads and are cut" in caplog.text


def test_a_target_that_is_its_own_anchor_is_refused() -> None:
    with pytest.raises(ConceptError, match="'cat' would be replaced by itself"):
        gather(tiny_pipe(), ["dog", "cat"], anchors=["cat", "Cat "])


def test_a_learned_word_of_several_vectors_is_read_whole() -> None:
    pipe = tiny_pipe()
    pipe.maybe_convert_prompt = lambda sentences, tokenizer: [s.replace("<pet>", "cat dog") for s in sentences]
    assert read_tokens(pipe, ["<pet>"]) == read_tokens(pipe, ["cat dog"])
    assert torch.equal(encode(pipe, ["<pet>"]).features, encode(pipe, ["cat dog"]).features)
