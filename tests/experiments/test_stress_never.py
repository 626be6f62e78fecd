"""What each probe finds in emoji-sd, and in the control that never saw the concepts, where it is no knowledge of them.

Only its denoiser never saw them. The text encoder is emoji-sd's, which was trained beside pictures of all 400, so that
a name's features tell what it looks like, and the control draws some of the twenty by name (its card says how many). So
a probe is held against plain sampling of the control, not against nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import scapre
from scapre.experiments.stress import run
from scapre.experiments.stress.matrix import CELL
from scapre.experiments.stress.probe import Target
from scapre.experiments.stress.probes import BESIDE, PROBES, find_probe
from scapre.experiments.stress.stage import emoji_target
from scapre.model.backbones import load_control
from scapre.pictures.judges import Judges, load_judges

#: what notebook 15 gives a cell, and a quarter more of an attack that optimises; two steps of relearning
QUICK = replace(CELL, steps=60, checks=(2,))
#: of ``unseen.csv``; of three kinds, each with other names and a description
NAMES = ("hamburger", "jack o lantern", "camera")

#: probe → why it may find in a model what the model never saw. They are handed pictures of the concept, or a state that
#: holds one, and what they bring back of an erased model says nothing without this control
POWERFUL = {
    "picture-inversion": "any picture, walked back to noise and drawn again, comes back; no concept is needed",
    "completion": "the original has drawn a quarter or half of the picture before the control goes on",
    "inversion-1": "a vector is learned from pictures of the concept; neighbours in looks span much of it",
    "inversion-4": "the same with four vectors",
    "relearn-full": "it is trained on pictures of the concept",
    "relearn-attention": "it is trained on pictures of the concept",
    "relearn-lora": "it is trained on pictures of the concept",
}
#: what is drawn beside the concept is no trace of it; descriptions say nothing to emoji-sd, whatever it saw; bred words
#: are asked of other concepts
OTHERS = (*BESIDE, "descriptions", "ring-a-bell")
PLAIN_SPOKEN = [name for name in PROBES if name not in POWERFUL and name not in OTHERS]
#: of twelve pictures: what two draws of one rate may differ by
CHANCE = 4


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


@pytest.fixture(scope="module")
def never() -> Any:
    return load_control(scapre.load_pipeline())


@pytest.fixture(scope="module")
def targets() -> list[Target]:
    return [emoji_target(name, scapre.load_pipeline(), QUICK, 0, avoid=NAMES) for name in NAMES]


@pytest.fixture(scope="module")
def plain(never: Any, targets: list[Target], judges: Judges) -> int:
    """Hits of the control's own drawings by name."""
    return sum(hits("plain", never, targets, judges))


def hits(probe: str, pipe: Any, targets: list[Target], judges: Judges) -> list[int]:
    """Hits of a probe, concept by concept; of a probe that trains, after its last check."""
    counts = []
    for target in targets:
        found = run.judged(judges, find_probe(probe)(pipe, target, QUICK, 0))
        last = found[found["steps"] == found["steps"].max()] if "relearn" in probe or "unrelated" in probe else found
        counts.append(int(last["hit"].sum()))
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("probe", PLAIN_SPOKEN)
def test_a_probe_finds_what_is_there_and_in_the_control_no_more_than_its_name_does(
    probe: str, plain: int, never: Any, targets: list[Target], judges: Judges
) -> None:
    assert sum(count > 0 for count in hits(probe, targets[0].original, targets, judges)) >= 2
    assert sum(hits(probe, never, targets, judges)) <= plain + CHANCE


@pytest.mark.slow
def test_bred_words_find_in_the_control_no_more_than_the_name_does(never: Any, judges: Judges) -> None:
    """Of concepts that another word of the tokenizer means ("spaceship"); most have none."""
    told = [emoji_target(name, scapre.load_pipeline(), QUICK, 0) for name in ("rocket", "guitar")]
    said = find_probe("ring-a-bell")(told[0].original, told[0], QUICK, 0).table["prompt"]
    assert said.str.contains("spaceship").any()
    here = hits("ring-a-bell", told[0].original, told, judges)
    assert sum(here) > 0
    assert sum(hits("ring-a-bell", never, told, judges)) <= sum(hits("plain", never, told, judges)) + CHANCE


@pytest.mark.slow
@pytest.mark.parametrize("probe", POWERFUL)
def test_what_a_powerful_probe_finds_in_the_control_is_less_than_is_there(
    probe: str, never: Any, targets: list[Target], judges: Judges
) -> None:
    (here,) = hits(probe, targets[0].original, targets[:1], judges)  # they train: one concept is enough of the clock
    assert here > 0
    assert hits(probe, never, targets[:1], judges)[0] <= here


@pytest.mark.slow
def test_the_control_draws_the_rest(never: Any, judges: Judges) -> None:
    """Else its failure at the twenty would say nothing of them."""
    others = [emoji_target(name, scapre.load_pipeline(), QUICK, 0) for name in ("rose", "sun", "violin")]
    assert sum(hits("plain", never, others, judges)) >= 9
