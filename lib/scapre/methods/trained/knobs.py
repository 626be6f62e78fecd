"""What may be set of each eraser that trains, as published: known without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scapre.methods.trained.settings import PictureSettings, WalkSettings

#: which cross-attention ``surgun`` trains → how the names of its parameters begin
BLOCKS = {"all": ("",), "down": ("down_blocks.",), "mid": ("mid_block.",), "up": ("up_blocks.",)}


@dataclass
class EsdSettings(WalkSettings):
    """Settings of ``esd.Esd``.

    Attributes:
        eta: η; as published 1 in ``paper``, 2 in ``code-2025`` (the same target).
        formula: ``paper`` or ``code-2025``.
    """

    steps: int = 1000
    eta: float = 1.0
    formula: str = "paper"

    method: ClassVar[str] = "esd"
    lengths: ClassVar[tuple[int, ...]] = (100, 300, 1000)
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"formula": ("paper", "code-2025")}


@dataclass
class ConceptAblationSettings(PictureSettings):
    """Settings of ``concept_ablation.ConceptAblation``.

    Attributes:
        prior: weight of the anchor's own denoising loss. Where target and anchor share words 1 as published, which
            is 0.25 here: the released code sums the first term over the four channels.
        teacher: ``current``, or ``frozen``: the paper's idea.
    """

    learning_rate: float = 1.6e-5
    batch: int = 8
    weight_decay: float = 0.01
    prior: float = 0.0
    teacher: str = "current"

    method: ClassVar[str] = "concept-ablation"
    matches: ClassVar[bool] = True
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"teacher": ("current", "frozen")}


@dataclass
class ForgetMeNotSettings(PictureSettings):
    """Settings of ``forget_me_not.ForgetMeNot``.

    Attributes:
        use_pooler: S also holds every position of the end token. Where prompts are padded with it, as in
            Stable Diffusion 1.x, S is nearly the whole prompt.
        real_pictures: train on the emoji in their styles, as the paper on photographs, instead of drawings.
    """

    steps: int = 35
    learning_rate: float = 2e-6
    weight_decay: float = 0.01
    use_pooler: bool = True
    real_pictures: bool = False

    method: ClassVar[str] = "forget-me-not"
    lengths: ClassVar[tuple[int, ...]] = (10, 35, 100)


@dataclass
class SculptingMemorySettings(PictureSettings):
    """Settings of ``sculpting_memory.SculptingMemory``.

    Attributes:
        steps: of each target, the first epoch included.
        epochs: of each target.
        retain_scale: ρ.
        distillation: κ, from the model as it was before this target.
        density: share of a weight's entries that may move.
        renew_every: steps between exchanges.
    """

    steps: int = 500
    learning_rate: float = 3e-6
    batch: int = 2
    pictures: int = 100
    epochs: int = 10
    retain_scale: float = 0.25
    distillation: float = 0.0
    density: float = 0.5
    renew_every: int = 100

    method: ClassVar[str] = "sculpting-memory"
    lengths: ClassVar[tuple[int, ...]] = (100, 250, 500)
    matches: ClassVar[bool] = True


@dataclass
class SurgUnSettings(PictureSettings):
    """Settings of ``surgun.SurgUn``.

    Attributes:
        distractors: kept concepts, the farthest from each target in text space; 0: ascent alone, 1: reassignment.
        beta: β.
        ascent_scale: τ > 0.
        blocks: which cross-attention learns: ``all``, ``down``, ``mid`` or ``up``.
    """

    steps: int = 200
    batch: int = 8
    distractors: int = 16
    beta: float = 0.5
    ascent_scale: float = 1.0
    blocks: str = "all"

    method: ClassVar[str] = "surgun"
    lengths: ClassVar[tuple[int, ...]] = (50, 100, 200)
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"blocks": tuple(BLOCKS)}


@dataclass
class RestrictedGradientSettings(PictureSettings):
    """Settings of ``restricted_gradient.RestrictedGradient``.

    Attributes:
        learning_rate: of plain gradient steps; 1e-5 as published with ``rule="adam"``.
        retain_scale: α.
        bound: a target's loss above it gives no gradient any more; a model that predicts nothing has about 1.
        rule: ``gradient`` or ``adam``.
    """

    learning_rate: float = 0.01
    batch: int = 8
    retain_scale: float = 1.6
    bound: float = 1.1
    rule: str = "gradient"

    method: ClassVar[str] = "restricted-gradient"
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"rule": ("gradient", "adam")}


@dataclass
class SpmSettings(WalkSettings):
    """Settings of ``spm.Spm``.

    Attributes:
        steps: of each target.
        eta: η.
        retain_scale: ρ.
        surrogates: z a picture.
        composition: ``printed``, Σ u_i v_iᵀ, or ``released``, (Σ u_i)(Σ v_i)ᵀ with its cross terms.
        trained: the transformer blocks as published, or the linear layers of a selection.
    """

    steps: int = 3000
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    drawing_steps: int = 30
    eta: float = 1.0
    retain_scale: float = 1000.0
    surrogates: int = 4
    composition: str = "printed"

    method: ClassVar[str] = "spm"
    lengths: ClassVar[tuple[int, ...]] = (300, 1000, 3000)
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"composition": ("printed", "released")}


@dataclass
class MaceSettings(PictureSettings):
    """Settings of ``mace.Mace``.

    Attributes:
        steps: of each target.
        rank: of an adapter.
        ridge: λ.
        retain_scale: ρ.
        fusion_retain_scale: ρ₂.
        focus: γ of ξ; 0: uniform times.
    """

    steps: int = 50
    learning_rate: float = 1e-3
    pictures: int = 8
    rank: int = 4
    ridge: float = 0.5
    retain_scale: float = 1.0
    fusion_retain_scale: float = 1.0
    focus: float = 0.05

    method: ClassVar[str] = "mace"
    lengths: ClassVar[tuple[int, ...]] = (25, 50, 100)
    matches: ClassVar[bool] = True
    #: it solves for keys and values alone
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"trained": ("as-published", "kv")}


@dataclass
class SalUnSettings(PictureSettings):
    """Settings of ``salun.SalUn``.

    Attributes:
        steps: of each target.
        retain_scale: ρ; 0.5 for objects, 0.1 for nudity as published.
        density: share of the weights that may move.
        saliency_guidance: s; 8.5 as released (there written 1 + 7.5).
        real_pictures: train on the emoji in their styles, as the paper on photographs, instead of drawings.
    """

    steps: int = 600
    batch: int = 8
    retain_scale: float = 0.5
    density: float = 0.5
    saliency_guidance: float = 8.5
    real_pictures: bool = False

    method: ClassVar[str] = "salun"
    lengths: ClassVar[tuple[int, ...]] = (100, 300, 600)
    matches: ClassVar[bool] = True
