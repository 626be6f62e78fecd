"""What is asked and of whom: targets with what an attacker has of them, the edited model and its controls."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch

from scapre.concepts.emoji import load_emoji
from scapre.concepts.lists import read_concepts
from scapre.concepts.names import same_name
from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, CannotApply, Target
from scapre.model.backbones import load_control
from scapre.model.fingerprint import fingerprint
from scapre.model.weights import ENCODERS
from scapre.patch.patch import Patch
from scapre.paths import model_folder

EDITED, UNEDITED, NEVER = "edited", "unedited", "never saw it"
OTHERS = 6  # objects that prompts name beside the target


def targets_of(patch: Patch, original: Any, budget: Budget, seed: int) -> list[Target]:
    """Choose targets of a patch that the judge knows, those that the control never saw first.

    Raises:
        CannotApply: the judge knows none of them.
    """
    table = read_concepts("emoji")
    known = {same_name(name): name for name in table["name"]}
    mine = [known[same_name(name)] for name in patch.provenance["targets"] if same_name(name) in known]
    if not mine:
        raise CannotApply("the shipped judge knows emoji-sd's names only, and none is a target of this patch")
    mixed = np.random.default_rng(seed).permutation(mine).tolist()
    unseen = set(read_concepts("unseen")["name"])
    picked = sorted(mixed, key=lambda name: name not in unseen)[: budget.targets]
    return [emoji_target(name, original, budget, seed, avoid=mine) for name in picked]


def emoji_target(name: str, original: Any, budget: Budget, seed: int, avoid: Sequence[str] = ()) -> Target:
    """A concept of emoji-sd with its emoji, and emoji of validation concepts as unrelated pictures.

    Args:
        avoid: names, targets as a rule, that no prompt mentions.
    """
    images, concepts, styles = load_emoji()
    table = read_concepts("emoji").set_index("name")
    told = read_concepts("descriptions").set_index("name")["descriptions"]
    draw = np.random.default_rng([seed, concepts.index(name)])
    free = [n for n in read_concepts("validation")["name"] if n not in {name, *avoid}]
    others = draw.permutation(free).tolist()[: OTHERS + budget.shots]

    def shown(wanted: Sequence[str]) -> tuple[torch.Tensor, tuple[str, ...]]:
        """``budget.shots`` pictures, style after style, each of the next concept."""
        pairs = [(wanted[i % len(wanted)], i % len(styles)) for i in range(budget.shots)]
        places = [concepts.index(concept) * len(styles) + style for concept, style in pairs]
        captions = tuple(f"{PICTURE.format(concept)} in {styles[style]} style" for concept, style in pairs)
        return torch.from_numpy(images[places]), captions

    return Target(
        name,
        original,
        *shown([name]),
        *shown(others[OTHERS:]),
        aliases=tuple(filter(None, table["aliases"][name].split("|"))),
        descriptions=tuple(filter(None, told.get(name, "").split("|"))),
        others=tuple(others[:OTHERS]),
        styles=tuple(styles),
    )


def models(pipe: Any, patch: Patch) -> dict[str, Any]:
    """The edited model and its controls, each a pipeline of its own; ``pipe`` stays the unedited one."""
    edited = twin(pipe)
    patch.apply(edited)
    found = {EDITED: edited, UNEDITED: pipe}
    # its text encoder and autoencoder are emoji-sd's, so it is a control of nothing else
    if _is_emoji(pipe):
        found[NEVER] = load_control(pipe)
    return found


def twin(pipe: Any) -> Any:
    """A pipeline with a UNet and text encoders of its own; all else is shared."""
    other = copy(pipe)
    for part in ("unet", *ENCODERS):
        if getattr(pipe, part, None) is not None:
            vars(other)[part] = deepcopy(getattr(pipe, part))
    return other


def mark(pipe: Any) -> str:
    """A hash of every weight that decides a picture, the autoencoder's aside."""
    parts = [getattr(pipe, part, None) for part in ("unet", *ENCODERS)]
    return "".join(fingerprint(part.state_dict())[:16] for part in parts if part is not None)


def _is_emoji(pipe: Any) -> bool:
    place = str(getattr(pipe, "name_or_path", ""))
    return place.endswith(model_folder().name)
