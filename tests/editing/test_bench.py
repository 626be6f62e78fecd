from __future__ import annotations

import pytest
from scapre.editing.bench import benchmark, families
from scapre.editing.whole_way import whole_way
from scapre.methods.registry import SOLVERS


@pytest.mark.parametrize("method", SOLVERS)
def test_every_method_is_timed(method: str) -> None:
    table = benchmark("tiny", method, [1, 3])
    assert table["n"].tolist() == [1, 3]
    assert (table[["statistics", "solve", "floor", "naive", "GB"]] > 0).all().all()


def test_unknown_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="known: sd1"):
        benchmark("sd9")
    with pytest.raises(ValueError, match="known: staged"):
        benchmark("tiny", "magic")


def test_families_are_timed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "SHAPES": {"sd1": (64, 8, {32: 2}), "sdxl": (96, 8, {16: 1, 32: 3}), "tiny": (64, 8, {32: 2})},
        "TRANSFORMERS": {"pixart-sigma": (16, 4, {16: 2}), "lumina-next": (24, 4, {8: 3})},
        "FIRST": {"flux": [(32, 4, 24), (8, 3, 24)]},
    }
    for name, table in small.items():
        monkeypatch.setattr(f"scapre.model.shapes.{name}", table)
    table = families(3)
    assert table["model"].tolist() == ["sd1", "sdxl", "pixart-sigma", "lumina-next", "flux"]
    assert table["method"].tolist() == ["staged"] * 2 + ["confined"] * 3
    assert table["width"].tolist() == ["64", "96", "16", "24", "32 + 8"]
    assert table["matrices"].tolist() == [4, 8, 4, 6, 2]
    assert table["rows"].tolist() == [128, 224, 64, 48, 48]
    assert (table["total"] > 0).all()


@pytest.mark.parametrize(("method", "stages"), [("confined", 5), ("staged", 8)])
def test_the_whole_way_is_told_stage_by_stage(method: str, stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scapre.editing.whole_way.IMPORTS", "pass")
    table = whole_way("tiny", method, 3, 5, sample=2).set_index("stage")
    parts = table.drop("total")
    assert len(table) == stages
    assert parts["first"].sum() == pytest.approx(table.loc["total", "first"])
    assert table.loc["targets", "sentences"] == 3 * 4
    assert table.loc["list to keep", "sentences"] == 5 * 4
    assert (parts["first"] > 0).all()
    assert (parts["second"] > 0).all()
    assert parts.loc["targets", "floor"] > 0


def test_the_whole_way_needs_one_text_encoder_and_a_closed_form() -> None:
    with pytest.raises(ValueError, match="known: sd1"):
        whole_way("sdxl")
    with pytest.raises(ValueError, match="draws pictures"):
        whole_way("tiny", "fia")
