"""The erasers that train by name: one line on each, its class and its settings. Known without torch."""

from __future__ import annotations

from scapre.methods.trained.knobs import (
    ConceptAblationSettings,
    EsdSettings,
    ForgetMeNotSettings,
    MaceSettings,
    RestrictedGradientSettings,
    SalUnSettings,
    SculptingMemorySettings,
    SpmSettings,
    SurgUnSettings,
)
from scapre.methods.trained.settings import EraserSettings

#: name → what it is, where below ``scapre.methods`` its class is defined, and what may be set of it
TRAINED: dict[str, tuple[str, str, type[EraserSettings]]] = {
    "forget-me-not": (
        "trained: attention to the concept's tokens is starved",
        "trained.forget_me_not:ForgetMeNot",
        ForgetMeNotSettings,
    ),
    "sculpting-memory": (
        "trained: concepts one after another, through masks that move with the gradient",
        "trained.sculpting_memory:SculptingMemory",
        SculptingMemorySettings,
    ),
    "surgun": (
        "trained, our reading of an abstract: ascent, while distractors compete for the prompt",
        "trained.surgun:SurgUn",
        SurgUnSettings,
    ),
    "restricted-gradient": (
        "trained: ascent and retention, each along what does not hurt the other",
        "trained.restricted_gradient:RestrictedGradient",
        RestrictedGradientSettings,
    ),
    "esd": (
        "trained: a concept's prediction is moved away from itself, along negative guidance",
        "trained.esd:Esd",
        EsdSettings,
    ),
    "concept-ablation": (
        "trained: on pictures of the anchor, the concept learns to predict what the anchor does",
        "trained.concept_ablation:ConceptAblation",
        ConceptAblationSettings,
    ),
    "spm": (
        "trained: an adapter of rank one a concept, merged",
        "trained.spm:Spm",
        SpmSettings,
    ),
    "mace": (
        "refined in closed form, an adapter trained for each concept, fused in closed form",
        "trained.mace:Mace",
        MaceSettings,
    ),
    "salun": (
        "trained: concepts are reassigned, on the weights of largest saliency",
        "trained.salun:SalUn",
        SalUnSettings,
    ),
}
