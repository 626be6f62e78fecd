"""The model's card is its tables."""

from __future__ import annotations

import pandas as pd
from scapre.paths import data_folder, model_folder
from scapre.training.card import card_text

NAMES = ("text", "judges", "drawing", "concepts", "uce")


def tables() -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(data_folder() / "results" / "emoji-sd" / f"{name}.csv") for name in NAMES}


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
