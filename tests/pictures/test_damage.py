"""Judges cut short or with a damaged head: said in a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapre.paths import judge_folder
from scapre.pictures.judges import load_judges
from strange import repeated


@repeated(100)
@given(st.floats(0, 1, exclude_max=True), st.one_of(st.none(), st.integers(0, 7)))
def test_damaged_judges_are_refused(tmp_path_factory: pytest.TempPathFactory, share: float, bit: int | None) -> None:
    folder = tmp_path_factory.getbasetemp() / "judges"
    if not folder.exists():
        shutil.copytree(judge_folder(), folder)
    data = (judge_folder() / "judge.safetensors").read_bytes()
    head = 8 + int.from_bytes(data[:8], "little")
    # numbers of a model have no hash to compare with, its head has one meaning
    place = int(share * (len(data) if bit is None else head))
    cut = data[:place] if bit is None else data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    Path(folder / "judge.safetensors").write_bytes(cut)
    try:
        judges = load_judges(folder)
    except ValueError:
        return
    assert bit is not None  # a letter of a name may differ
    assert len(judges.objects) == 400
