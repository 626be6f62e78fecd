"""Erasers that train, as the registry calls them."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from scapre.methods.method import Method
from scapre.methods.solution import Wish
from scapre.methods.trained.concept_ablation import ConceptAblation
from scapre.methods.trained.eraser import Eraser
from scapre.methods.trained.esd import Esd
from scapre.methods.trained.forget_me_not import ForgetMeNot
from scapre.methods.trained.loop import train
from scapre.methods.trained.mace import Mace
from scapre.methods.trained.restricted_gradient import RestrictedGradient
from scapre.methods.trained.salun import SalUn
from scapre.methods.trained.sculpting_memory import SculptingMemory
from scapre.methods.trained.spm import Spm
from scapre.methods.trained.surgun import SurgUn

_ERASERS: tuple[type[Eraser], ...] = (
    ForgetMeNot,
    SculptingMemory,
    SurgUn,
    RestrictedGradient,
    Esd,
    ConceptAblation,
    Spm,
    Mace,
    SalUn,
)


def run(kind: type[Eraser], pipe: Any, wish: Wish, *, seed: int, progress: bool, **settings: Any) -> dict[str, Tensor]:
    """Train a student of the pipeline's UNet and return its edited weights; see ``solution.Editor``.

    Raises:
        ValueError: a setting out of range, a pipeline that lacks a part, or a wish that lacks concepts to keep.
    """
    eraser = kind(**settings)
    eraser.open(pipe, wish, seed)
    return train(eraser, progress=progress)


#: name → method; the knob of all is the learning rate
TRAINED: dict[str, Method] = {
    kind.method: Method(
        kind.about,
        kind.defaults(),
        None,
        "learning_rate",
        kind.grid(),
        matches=kind.matches,
        edit=partial(run, kind),
    )
    for kind in _ERASERS
}
