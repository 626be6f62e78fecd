"""The model's card is its tables."""

from __future__ import annotations

import pandas as pd
from scapre.paths import control_folder, data_folder, model_folder
from scapre.training import control_card
from scapre.training.card import card_text

NAMES = ("text", "judges", "drawing", "concepts", "uce")


def tables(names: tuple[str, ...] = NAMES) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(data_folder() / "results" / "emoji-sd" / f"{name}.csv") for name in names}


def without_versions(text: str) -> list[str]:
    return [line for line in text.splitlines() if "diffusers 0." not in line]


def test_the_card_says_what_its_tables_say() -> None:
    committed = (model_folder() / "README.md").read_text(encoding="utf-8")
    assert without_versions(card_text(tables())) == without_versions(committed)


def test_another_number_makes_another_card() -> None:
    changed = tables()
    changed["drawing"].loc[0, "value"] -= 1
    committed = (model_folder() / "README.md").read_text(encoding="utf-8")
    assert without_versions(card_text(changed)) != without_versions(committed)


def test_the_control_draws_what_it_was_shown_and_not_the_twenty() -> None:
    found = tables(("control", "control_concepts"))
    assert control_card.card_text(found) == (control_folder() / "README.md").read_text(encoding="utf-8")
    at = found["control"].set_index(["model", "concepts"])["object"]
    assert at["control", control_card.SHOWN] > at["emoji-sd", control_card.SHOWN] - 3
    assert at["control", control_card.NEVER] < 30  # far from chance, 0.25: its text encoder knows the names
