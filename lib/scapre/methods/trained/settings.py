"""What may be set of every eraser that trains, and what to try: known without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

#: settings that count at least one
COUNTS = {"batch", "pictures", "drawing_steps", "reuse", "epochs", "rank", "surrogates", "renew_every"}
#: what may be trained → does a parameter of that name belong to it
SELECTIONS = {
    "kv": lambda name: ".attn2.to_k." in name or ".attn2.to_v." in name,
    "cross-attention": lambda name: ".attn2." in name,
    "outside-cross-attention": lambda name: ".attn2." not in name,
    "unet": lambda name: True,
}


@dataclass
class EraserSettings:
    """Settings of every method.

    Attributes:
        steps: of all concepts together, or of each where the method is ``sequential``.
        learning_rate: of Adam, unless the method says otherwise.
        batch: pictures a step.
        trained: ``as-published``, or a selection of ``SELECTIONS``.
        weight_decay: of AdamW; 0 is Adam.
    """

    steps: int = 100
    learning_rate: float = 1e-5
    batch: int = 1
    trained: str = "as-published"
    weight_decay: float = 0.0

    #: the name in ``names.TRAINED``
    method: ClassVar[str] = ""
    #: without anchors given, targets are replaced by their nearest kept concepts
    matches: ClassVar[bool] = False
    #: numbers of steps to try, the published one among them
    lengths: ClassVar[tuple[int, ...]] = (30, 100, 300)
    #: settings that are words, and the words
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            ValueError: a count that must be at least 1, or a word that is not known.
        """
        words = {"trained": ("as-published", *SELECTIONS)} | self.choices
        for field in fields(self):
            value, name = getattr(self, field.name), field.name
            if name in words and value not in words[name]:
                raise ValueError(f"{name} of {self.method} is one of {', '.join(words[name])}, not {value!r}")
            if name in COUNTS and value < 1:
                raise ValueError(f"{name} of {self.method} must be at least 1, got {value}")

    @classmethod
    def grids(cls) -> dict[str, tuple[float, ...]]:
        """What to try on a model smaller than the paper's: up to 100 times its rate, other numbers of steps."""
        rates = tuple(round(factor * cls.learning_rate, 12) for factor in (1, 10, 30, 100))
        return {"learning_rate": rates, "steps": cls.lengths}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The settings and their values as published."""
        return {field.name: field.default for field in fields(cls)}


@dataclass
class PictureSettings(EraserSettings):
    """Settings of methods that train on pictures that the frozen pipeline draws.

    Attributes:
        pictures: of every concept, spread over its sentences; the same for every edit of a model.
        drawing_steps, drawing_guidance: of these drawings.
    """

    pictures: int = 16
    drawing_steps: int = 25
    drawing_guidance: float = 6.0


@dataclass
class WalkSettings(EraserSettings):
    """Settings of methods whose x_t are states of the model's own trajectories.

    Attributes:
        drawing_steps: of a whole DDIM trajectory.
        drawing_guidance: along it.
        reuse: steps that draw their states from one trajectory; 1: a new one every step, as published.
    """

    drawing_steps: int = 50
    drawing_guidance: float = 3.0
    reuse: int = 1
