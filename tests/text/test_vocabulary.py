"""The text encoder's own words as a list of what stays, on disk from the first use on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scapre.text import vocabulary
from scapre.text.embeddings import encode
from scapre.text.inner import key_moments, places_of
from scapre.text.vocabulary import read_vocabulary, words_of
from toys import tiny_pipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCAPRE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_whole_words_of_letters_are_the_list() -> None:
    assert {"cat", "lemon", "picture"} <= set(words_of(tiny_pipe()))
    assert all(word.isalpha() and len(word) > 1 for word in words_of(tiny_pipe()))


def test_leaving_words_out_is_as_if_they_had_never_been_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_pipe()
    places = places_of(pipe, 2)
    rest = read_vocabulary(pipe, places).without(pipe, ["cat", "lemon", "unknown"])
    monkeypatch.setattr(vocabulary, "words_of", lambda _: list(rest.words))
    never = read_vocabulary(pipe, places)
    assert rest.words == never.words
    assert torch.equal(rest.features, never.features)
    assert torch.allclose(rest.contexts, never.contexts, atol=1e-4)
    assert all(torch.allclose(rest.keys[p], never.keys[p], atol=1e-4) for p in places)


def test_it_is_encoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_pipe()
    first = read_vocabulary(pipe, places_of(pipe, 1))
    (file,) = folder.iterdir()

    def never(*_: object) -> None:
        raise AssertionError("encoded again")

    with monkeypatch.context() as patched:
        patched.setattr(vocabulary, "_gather", never)
        second = read_vocabulary(pipe, places_of(pipe, 1))
        assert torch.equal(first.contexts, second.contexts)
        with torch.no_grad():
            pipe.text_encoder.get_parameter(
                "final_layer_norm.weight"
                if hasattr(pipe.text_encoder, "final_layer_norm")
                else "text_model.final_layer_norm.weight"
            ).mul_(2)
        with pytest.raises(AssertionError, match="encoded again"):
            read_vocabulary(pipe, places_of(pipe, 1))
    file.write_bytes(file.read_bytes()[:100])
    assert torch.allclose(read_vocabulary(tiny_pipe(), places_of(pipe, 1)).contexts, first.contexts)


def test_one_run_gives_what_separate_runs_give(folder: Path) -> None:
    pipe = tiny_pipe()
    places = places_of(pipe, 2)
    found = read_vocabulary(pipe, places)
    prompts = [sentence.format(word) for word in found.words for sentence in vocabulary.SENTENCES]
    encoded = encode(pipe, prompts)
    contexts = [encoded.hidden[i, last:].double() for i, last in enumerate(encoded.last.tolist())]
    plain = sum(rows.T @ rows for rows in contexts) / len(prompts)
    assert torch.allclose(found.contexts, plain, rtol=1e-5, atol=1e-5)
    prompts += [vocabulary.LONGER.format(word) for word in found.words]
    for place, moment in key_moments(pipe, places, prompts).items():
        assert torch.allclose(found.keys[place], moment, rtol=1e-5, atol=1e-5)


def test_a_folder_that_cannot_be_written_costs_only_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAPRE_CACHE", "/proc/nowhere")
    pipe = tiny_pipe()
    assert read_vocabulary(pipe, places_of(pipe, 1)).contexts.any()
