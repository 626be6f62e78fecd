"""Random weights at real shapes behave like a pipeline that is edited."""

from __future__ import annotations

import pytest
import scapre
from scapre.model.stand_in import stand_in, stand_in_names
from scapre.text.vocabulary import words_of


def test_names_are_two_tokens_and_all_different() -> None:
    pipe, names = stand_in("tiny"), stand_in_names(5000)
    assert len(set(names)) == 5000
    assert all(len(ids) == 2 for ids in pipe.tokenizer(names[:50], add_special_tokens=False).input_ids)
    assert len(words_of(pipe)) == 2048


def test_it_can_be_edited() -> None:
    names = stand_in_names(4)
    patch = scapre.erase(stand_in("tiny"), names[:2], retained=names[2:], method="confined", progress=False)
    assert len(patch.changed) == 4


def test_models_of_two_encoders_are_refused() -> None:
    with pytest.raises(ValueError, match="known: sd1, sd2, tiny"):
        stand_in("sdxl")
