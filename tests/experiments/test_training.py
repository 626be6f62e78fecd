from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from scapre.experiments import training
from scapre.experiments.case import Case
from scapre.experiments.cases import scaling_cases, vocabulary
from scapre.experiments.training import ENDS, FIXED, KV, LIGHT, OWN, READS, TRIES, chosen, needed, stage, strips, tries
from scapre.methods.registry import complete
from scapre.methods.trained import on_pictures
from scapre.methods.trained.drawing import Order
from scapre.methods.trained.names import TRAINED
from trained_cases import METHODS
from trained_toys import DRAWING, WISH, opened

BEST = {"learning_rate": 1e-3, "steps": 20}


@pytest.fixture
def settled(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results" / training.BOOK
    folder.mkdir(parents=True)
    best = {"method": ["esd", "spm"], "point": [OWN, LIGHT], "settings": [json.dumps(BEST)] * 2}
    pd.DataFrame(best).to_csv(folder / "best.csv")
    monkeypatch.setattr(training, "data_folder", lambda: tmp_path)


def test_every_eraser_has_six_tries_of_settings_it_knows() -> None:
    assert set(TRIES) == set(FIXED) == set(TRAINED)
    for method in TRIES:
        own = tries([method], [10], [0], 18)
        assert len({case.key for case in own}) == 6
        for case in own:
            assert complete(method, case.settings).items() >= case.settings.items()
            assert set(case.pictures["concept"]) <= set(vocabulary()[1])


def test_a_point_differs_from_the_method_in_one_setting() -> None:
    narrow, whole = (tries(["forget-me-not"], [10], [0], 18, point) for point in (KV, OWN))
    assert narrow[-1].settings == whole[-1].settings | {"trained": "kv"}
    assert all(case.settings["use_pooler"] is True for case in tries(["forget-me-not"], [10], [0], 18, ENDS))
    light, whole = (tries(["spm"], [10], [0], 18, point) for point in (LIGHT, OWN))
    assert light[-1].settings == whole[-2].settings | {"retain_scale": 10.0}


def test_the_stage_is_that_of_the_scaling_curves(settled: None) -> None:
    (case,), (closed,) = stage(["esd"], [10], [1], 48), scaling_cases(["uce"], [10], [1], 48)
    assert (case.targets, case.retained, case.settings) == (closed.targets, closed.retained, BEST)
    assert case.pictures.equals(closed.pictures)
    assert case.labels == {"method": "esd", "point": OWN, "n": 10, "order": 1}


def test_strips_follow_one_case_and_end_in_it(settled: None) -> None:
    unedited, *films = strips(["esd"], 10, 1, [0.25, 1.0])
    assert [case.settings["steps"] for case in films] == [5, 20]
    assert films[-1].targets == stage(["esd"], [10], [1], 48)[0].targets
    assert unedited.pictures.equals(films[0].pictures)
    assert len(unedited.pictures) == 3
    *_, light = strips(["spm"], 10, 1, [1.0], LIGHT)
    assert light.targets == films[-1].targets
    assert light.settings == BEST


def test_what_was_not_tried_is_said(settled: None) -> None:
    with pytest.raises(ValueError, match="mace was not tried"):
        chosen("mace")


def test_without_tries_the_remedy_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "data_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="scapre run 08"):
        chosen("esd")


@pytest.mark.parametrize("method", TRAINED)
def test_pictures_are_counted_as_they_are_drawn(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: set[Order] = set()

    def draw(pipe, model, orders, **options):
        drawn.update(orders)
        return [torch.zeros(order.count, 4, 8, 8) for order in orders]

    monkeypatch.setattr(on_pictures, "draw", draw)
    opened(METHODS[method].kind)
    settings = {"pictures": DRAWING["pictures"]} if method in READS else {}
    case = Case(method, WISH.targets, pd.DataFrame(), WISH.retained, settings)
    assert needed(case) == sum(order.count for order in drawn)
