from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from math import prod

import pandas as pd
import pytest
from scapre.concepts.lists import read_concepts
from scapre.experiments import cases as experiments
from scapre.experiments.ablation import ABLATIONS, STAGES, SUMMED, ablation_cases, stage_cases
from scapre.experiments.case import UNEDITED, Case, edit
from scapre.experiments.cases import (
    BLANK,
    CROWD,
    CROWD_WHOLE,
    MANY,
    VALIDATED,
    WORDS,
    capacity_cases,
    operating_point,
    own_words,
    precision_cases,
    restricted_cases,
    scaling_cases,
    vocabulary,
)
from scapre.experiments.styles import NO_STYLE, OTHER_STYLE, STYLE_WORD, style_cases, style_reach_cases
from scapre.experiments.tries import WORDED, crowd_cases, crowd_score, finalist_cases, validation_cases
from scapre.methods.closed.names import CLOSED
from scapre.methods.method import TRIES
from scapre.methods.registry import METHODS, complete
from toys import tiny_pipe

NAMES, VALIDATION = vocabulary()


def sides(case: Case) -> dict[str, set[str]]:
    return {side: set(part["concept"]) for side, part in case.pictures.groupby("side")}


def test_the_vocabulary_is_split() -> None:
    assert len(NAMES) == 340
    assert len(VALIDATION) == 60
    assert not set(NAMES) & set(VALIDATION)


def test_no_experiment_draws_what_defaults_were_chosen_on() -> None:
    cases = chain(
        scaling_cases(["uce"], [1, 320], [0, 1], 48),
        precision_cases(["uce"], [0], 18),
        style_cases(["uce"], [1], [0], 48),
        restricted_cases(["uce"], [0], 32),
        ablation_cases([10], [0], 48),
    )
    for case in cases:
        assert not set(case.pictures["concept"]) & set(VALIDATION)
    for case in validation_cases({"uce": {"ridge": (0.5,)}}, [20], [0], 36):
        assert set(case.pictures["concept"]) <= set(VALIDATION)


@pytest.mark.parametrize("n", [20, 200])
def test_in_a_crowd_validation_concepts_alone_are_drawn(n: int) -> None:
    (case,) = crowd_cases({"uce": {"ridge": (0.5,)}}, [n], [0], 36)
    drawn, kept = sides(case), set(case.retained)
    assert set(case.pictures["concept"]) <= set(VALIDATION)
    assert len(set(case.targets)) == n
    assert drawn["unlearn"] <= set(case.targets)
    assert drawn["preserve"] <= kept
    assert not drawn["bystander"] & (kept | set(case.targets))
    assert not kept & set(case.targets)


@pytest.mark.parametrize(
    "make",
    [
        lambda point: scaling_cases(["dp"], [50], [0], 48, point),
        lambda point: restricted_cases(["dp"], [0], 32, point),
        lambda point: precision_cases(["dp"], [0], 9, point, named=False)[:1],
    ],
)
def test_the_vocabulary_is_offered_to_keep_without_the_targets(make: Callable[[str], list[Case]]) -> None:
    (plain,), (case,) = make(VALIDATED), make(WORDS)
    more, spared = set(case.retained) - set(plain.retained), set(case.targets) | (sides(case)["preserve"])
    assert plain.settings == case.settings
    assert set(own_words()) - set(plain.retained) - spared <= more <= set(own_words()) - set(case.targets)
    assert list(case.retained[: len(plain.retained)]) == list(plain.retained)
    assert not set(case.retained) & set(case.targets)
    assert case.key != plain.key


def test_look_alikes_that_are_not_named_are_no_words_to_keep_either() -> None:
    for case in precision_cases(["dp"], [0], 9, WORDS, named=False):
        assert not set(case.retained) & (sides(case)["preserve"] | set(case.targets))


def test_a_peer_is_tried_in_the_crowd_with_the_vocabulary_kept() -> None:
    for method, knobs in WORDED.items():
        tried = crowd_cases({method: knobs}, [100], [0], 36, CROWD)
        (plain,) = crowd_cases({"staged": {"blocks": (4,)}}, [100], [0], 36)
        assert len({case.key for case in tried}) == TRIES
        for case in tried:
            assert case.targets == plain.targets
            assert case.pictures.equals(plain.pictures)
            assert set(own_words()) <= {*case.retained, *case.targets}
        assert sum(len(values) > 1 for values in knobs.values()) == 2


def test_finalists_of_the_crowd_are_asked_again_with_their_settings() -> None:
    tried = crowd_cases({"uce": {"ridge": (0.5, 2.0)}}, [100], [0, 1], 36)
    sides = zip((0, 20, 10, 10), (100, 80, 90, 90), (100, 90, 80, 100), strict=True)
    rows = [c.labels | {"unlearn": u, "preserve": p, "bystander": b} for c, (u, p, b) in zip(tried, sides, strict=True)]
    scored = crowd_score(pd.DataFrame(rows)).set_index("settings")
    assert scored.loc['{"ridge": 0.5}', "overall"] == pytest.approx((100 + 2 / (1 / 90 + 1 / 80)) / 2)
    assert scored.loc['{"ridge": 2.0}', "overall"] == pytest.approx((80 + 90) / 2)
    again = finalist_cases(scored.reset_index().nlargest(1, "overall"), [200], [0, 1], 36)
    assert [case.settings for case in again] == [{"ridge": 0.5}] * 2
    assert {len(case.targets) for case in again} == {200}


def test_in_the_crowd_replacements_are_concepts_and_words_are_kept_beside_them() -> None:
    (case,) = scaling_cases(["emcid-closed"], [10], [0], 12, CROWD)
    concepts = case.retained[: case.options["among"]]
    assert set(concepts) <= {*NAMES, *VALIDATION}
    assert set(case.retained) - set(concepts) <= set(own_words())
    assert scaling_cases(["emcid-closed"], [10], [0], 12, WORDS)[0].options == {}
    small = Case("emcid-closed", ["cat", "lemon"], case.pictures, ["dog", "sun", "boat"], options={"among": 2})
    patch = edit(small, tiny_pipe())
    assert patch
    assert set(patch.provenance["anchors"]) <= {"dog", "sun"}
    assert patch.provenance["retained"] == ["dog", "sun", "boat"]


@pytest.mark.parametrize("n", [1, 50, 320])
def test_scaling_names_everything_but_targets_and_bystanders(n: int) -> None:
    (case,) = scaling_cases(["uce"], [n], [2], 48)
    drawn, kept = sides(case), set(case.retained)
    assert drawn["unlearn"] <= set(case.targets)
    assert len(case.targets) == n
    assert drawn["preserve"] <= kept
    assert not drawn["bystander"] & kept
    assert not kept & set(case.targets)
    assert len(kept) == 400 - n - 10
    assert case.pictures.groupby("side").size().max() <= 48


def test_more_targets_contain_fewer_and_too_many_are_refused() -> None:
    few, many = scaling_cases(["uce"], [5, 20], [0], 12)
    assert set(few.targets) < set(many.targets)
    unnamed = [set(NAMES) - set(c.retained) - set(c.targets) for c in (few, many)]
    assert unnamed[0] == unnamed[1]
    assert len(unnamed[0]) == 10
    with pytest.raises(ValueError, match="321 targets leave none to keep; at most 320"):
        scaling_cases(["uce"], [321], [0], 12)


def test_phrases_outnumber_dimensions() -> None:
    (case,) = capacity_cases(["uce"], [1500], [0])
    assert len(set(case.targets)) == 1500
    assert len(case.pictures) == 0
    assert not {target.split(" in ")[0] for target in case.targets} & set(case.retained)
    with pytest.raises(ValueError, match="there are 1740 phrases"):
        capacity_cases(["uce"], [2000], [0])


def test_look_alikes_are_named_or_not() -> None:
    named, unnamed = precision_cases(["uce"], [0], 18), precision_cases(["uce"], [0], 18, named=False)
    assert len(named) == 12
    for one, other in zip(named, unnamed, strict=True):
        assert sides(one)["preserve"] <= set(one.retained)
        assert not sides(other)["preserve"] & set(other.retained)
        assert len(one.targets) == 2


def test_styles_are_split_and_objects_kept() -> None:
    (case,) = style_cases(["uce"], [2], [0], 30)
    styles = {side: set(part["style"]) for side, part in case.pictures.groupby("side")}
    assert len(styles["unlearn"]) == 2
    assert len(styles["preserve"]) == 4
    assert all(any(s in target for s in styles["unlearn"]) for target in case.targets)
    drawn = set(case.pictures["concept"])  # examples are of objects that are never drawn
    assert not any(f"a picture of a {name} in" in target for name in drawn for target in case.targets)
    assert {"dog", "a picture of a dog"} <= set(case.retained)


def test_a_style_is_replaced_by_a_kept_one_in_the_same_sentence() -> None:
    (blank,), (case,) = (style_cases(["uce"], [4], [0], 30, other=o, word=o) for o in (False, True))
    erased, kept = (set(case.pictures.query("side == @side")["style"]) for side in ("unlearn", "preserve"))
    assert case.labels["point"] == f"{OTHER_STYLE}, {STYLE_WORD}"
    assert set(blank.targets) < set(case.targets)
    assert blank.options["anchors"] == " "
    assert {phrase.removesuffix(" style") for phrase in blank.targets} == set(case.targets) - set(blank.targets)
    taken: dict[str, set[str]] = {}
    for target, anchor in zip(case.targets, case.options["anchors"], strict=True):
        (ours,), (theirs,) = erased & set(target.split()), kept & set(anchor.split())
        assert target.replace(ours, theirs) == anchor
        taken.setdefault(theirs, set()).add(ours)
        assert anchor in case.retained
    assert [len(ours) for ours in taken.values()] == [2, 2]  # four erased, two left
    assert set(blank.retained) < set(case.retained)


def test_the_best_an_edit_could_do_is_drawn_from_what_replaces_the_style() -> None:
    (edit,), (none, other) = style_cases(["uce"], [5], [1], 30), style_reach_cases([5], [1], 30)
    drawn, (left,) = (
        edit.pictures.query("side == 'unlearn'"),
        edit.pictures.query("side == 'preserve'")["style"].unique(),
    )
    assert [none.labels["asked"], other.labels["asked"]] == [NO_STYLE, OTHER_STYLE]
    for case in (none, other):
        assert case.method == UNEDITED
        assert case.pictures.drop(columns="prompt").equals(drawn.drop(columns="prompt"))
    assert not none.pictures["prompt"].str.contains("style").any()
    assert other.pictures["prompt"].str.endswith(f"in {left} style").all()


def test_synonyms_are_asked_for_and_never_erased() -> None:
    (case,) = restricted_cases(["uce"], [0], 60)
    spoken = case.pictures[case.pictures["side"] == "unlearn_synonym"]
    assert set(spoken["concept"]) <= set(read_concepts("restricted")["name"])
    assert not spoken["prompt"].str.contains("beer mug").any()
    assert "ale" in " ".join(spoken["prompt"]) or "pint" in " ".join(spoken["prompt"])
    other = case.pictures[case.pictures["side"] == "unlearn_indirect"]["prompt"]
    assert other.str.startswith("an artwork").all()
    (blank,) = restricted_cases(["confined"], [0], 60, blank=True)
    assert (blank.options, blank.labels["point"]) == ({"anchors": " "}, BLANK)


def test_ablations_differ_from_the_whole_in_one_thing() -> None:
    cases = {c.labels["variant"]: c for c in ablation_cases([10], [0], 12)}
    assert list(cases) == list(ABLATIONS)
    assert len({c.key for c in cases.values()}) == len(cases)
    for name, (method, settings, *_) in ABLATIONS.items():
        assert set(settings) <= set(METHODS[method].defaults), name
    weight = METHODS["confined"].defaults["erase_scale"]  # of ten targets together; summed, half of twenty's
    assert cases[SUMMED].settings == {"erase_scale": weight / 2}


def test_operating_points(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    assert operating_point("uce", "published") == {}
    assert operating_point(UNEDITED, VALIDATED) == {}
    with pytest.raises(ValueError, match="unknown operating point 'best'"):
        operating_point("uce", "best")
    monkeypatch.setattr(experiments, "data_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="run `scapre run 09 --profile full` first"):
        operating_point("uce", VALIDATED)
    folder = tmp_path / "results" / "09_operating_points"
    folder.mkdir(parents=True)
    best = {"ridge": 2.0, "epochs": 3, "use_mask": False}
    rows = {"method": ["uce"], "settings": [json.dumps(best)]}
    pd.DataFrame(rows).to_csv(folder / "best.csv", index=False)
    assert operating_point("uce", VALIDATED) == best
    assert [type(value) for value in operating_point("uce", VALIDATED).values()] == [float, int, bool]
    with pytest.raises(ValueError, match=r"best.csv has no row for rece; run"):
        operating_point("rece", VALIDATED)
    with pytest.raises(FileNotFoundError, match=r"crowd_best.csv is missing"):
        operating_point("uce", CROWD)
    chosen = {"method": ["uce"] * 2, "point": [CROWD, CROWD_WHOLE], "settings": ['{"ridge": 7.0}', '{"ridge": 8.0}']}
    pd.DataFrame(chosen).to_csv(folder / "crowd_best.csv", index=False)
    assert operating_point("uce", CROWD) == {"ridge": 7.0}
    assert operating_point("uce", CROWD_WHOLE) == {"ridge": 8.0}
    assert operating_point("uce", VALIDATED) == best


@pytest.mark.parametrize("cases", [style_cases, capacity_cases])
def test_an_experiment_that_keeps_no_words_refuses_the_point_that_does(cases: Callable[..., list[Case]]) -> None:
    limits = (30,) if cases is style_cases else ()
    with pytest.raises(ValueError, match="names words to keep, which this experiment does not; take 'validated'"):
        cases(["uce"], [5], [0], *limits, point=WORDS)
    with pytest.raises(ValueError, match="'in a crowd, vocabulary kept' names words to keep"):
        cases(["uce"], [5], [0], *limits, point=CROWD)
    (case,) = cases(["uce"], [5], [0], *limits, point=VALIDATED)
    assert case.settings == operating_point("uce", VALIDATED)


def test_settings_published_for_many_concepts() -> None:
    assert operating_point("speed", MANY) == {"tau": 1e-4, "retain_scale": 0.05, "prior_filter": False}
    assert operating_point("uce", MANY) == operating_point(UNEDITED, MANY) == {}
    for name, method in METHODS.items():
        assert set(method.many) <= set(method.defaults), name
        assert all(method.defaults[key] != value for key, value in method.many.items()), name
        complete(name, method.many)


def test_every_value_is_tried_with_every_other() -> None:
    grids = {"uce": {"ridge": (0.5, 2.0), "retain_scale": (0.3, 1.0, 3.0)}, "cure": {"alpha": (2.0,)}}
    cases = validation_cases(grids, [20], [0, 1], 36)
    tried = [(case.method, json.loads(case.labels["settings"])) for case in cases]
    assert len(cases) == len({case.key for case in cases}) == 2 * (2 * 3 + 1)
    assert all(case.settings == settings for case, (_, settings) in zip(cases, tried, strict=True))
    assert ("uce", {"ridge": 2.0, "retain_scale": 0.3}) in tried
    assert ("cure", {"alpha": 2.0}) in tried


def test_every_closed_form_is_given_as_many_tries_of_two_knobs_or_more() -> None:
    for name, method in METHODS.items():
        if name in CLOSED:
            assert prod(len(values) for values in method.grids.values()) == TRIES, name
            assert len(method.grids) >= 2, name
        assert all(method.defaults[knob] in values for knob, values in method.grids.items()), name
        for knob, values in method.grids.items():
            assert list(values) == sorted(set(values)), name
            assert all(complete(name, {knob: value})[knob] == value for value in values), name


def test_parts_of_the_staged_eraser_share_the_pictures_of_the_scaling_curves() -> None:
    whole = scaling_cases(["staged"], [10], [0], 12)[0]
    cases = {c.labels["variant"]: c for c in stage_cases([10], [0], 12)}
    assert set(cases) == set(STAGES)
    assert cases["staged"].key == whole.key
    assert len({c.key for c in cases.values()}) == len(STAGES)
    assert all(c.pictures.equals(whole.pictures) for c in cases.values())
