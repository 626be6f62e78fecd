from __future__ import annotations

from scapre.pictures.evaluation import plan, plan_sides

STYLES = list("abcdef")


def test_every_picture_has_its_own_seed() -> None:
    table = plan([f"c{i}" for i in range(400)], STYLES, [0, 1])
    assert table["seed"].is_unique
    # and a picture's seed does not depend on what else is drawn in the run
    assert plan(["c0"], STYLES, [1])["seed"].tolist() == plan(["c0", "c1"], STYLES, [1])["seed"].tolist()[:6]


def test_sides_are_limited_and_spread_over_concepts_and_styles() -> None:
    many = [f"c{i}" for i in range(100)]
    table = plan_sides({"unlearn": many[:3], "preserve": many}, STYLES, [0], limit=100)
    sizes = table.groupby("side").size()
    assert sizes["unlearn"] == 18
    assert sizes["preserve"] == 100
    kept = table[table["side"] == "preserve"]
    assert kept["concept"].nunique() == 100
    assert kept["style"].value_counts().min() >= 16
    few = plan_sides({"unlearn": many[:20], "preserve": many[:20]}, STYLES, [0], limit=60)
    assert few.groupby(["side", "concept"]).size().eq(3).all()
    fewer = plan_sides({"unlearn": many, "preserve": many[:1]}, STYLES, [0], limit=30)
    assert (fewer["side"] == "unlearn").sum() == 30
