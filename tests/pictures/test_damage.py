"""Judges cut short or with flipped bits, at any place: refused, or finite numbers; never another error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scapre.model.sums import SUMS
from scapre.pictures.judges import PARTS, Captioner, Judge, Judges, load_judges, save_judges
from strange import damaged, damages, repeated

OBJECTS, STYLES = ["cat", "dog"], ["flat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges")
    save_judges(Judges(Judge(len(OBJECTS), len(STYLES)), Captioner(8), OBJECTS, STYLES), folder)
    return folder


@repeated(500)
@given(st.sampled_from(PARTS), damages())
def test_any_damage_to_judges_with_sums_is_refused(folder: Path, part: str, damage: tuple[float, int | None]) -> None:
    file = folder / f"{part}.safetensors"
    before = file.read_bytes()
    file.write_bytes(damaged(before, *damage))
    try:
        with pytest.raises(ValueError, match="is damaged"):
            load_judges(folder)
    finally:
        file.write_bytes(before)


@repeated(500)
@given(st.sampled_from(PARTS), damages())
def test_any_damage_to_judges_of_other_people_is_refused_or_finite(
    folder: Path, part: str, damage: tuple[float, int | None]
) -> None:
    file, sums = folder / f"{part}.safetensors", (folder / SUMS).read_bytes()
    before = file.read_bytes()
    file.write_bytes(damaged(before, *damage))
    (folder / SUMS).unlink()
    try:
        judges = load_judges(folder)
    except ValueError:
        return
    finally:
        file.write_bytes(before)
        (folder / SUMS).write_bytes(sums)
    assert damage[1] is not None  # a flipped bit of a number, or of a letter of a name
    assert (len(judges.objects), len(judges.styles)) == (len(OBJECTS), len(STYLES))
    assert all(torch.isfinite(weight).all() for weight in judges.judge.parameters())
