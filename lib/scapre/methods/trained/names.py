"""The erasers that train by name: one line on each, and the class it is. Known without torch."""

from __future__ import annotations

#: name → what it is, and where below ``scapre.methods`` its class is defined
TRAINED: dict[str, tuple[str, str]] = {
    "forget-me-not": (
        "trained: attention to the concept's tokens is starved",
        "trained.forget_me_not:ForgetMeNot",
    ),
    "sculpting-memory": (
        "trained: concepts one after another, through masks that move with the gradient",
        "trained.sculpting_memory:SculptingMemory",
    ),
    "surgun": (
        "trained, our reading of an abstract: ascent, while distractors compete for the prompt",
        "trained.surgun:SurgUn",
    ),
    "restricted-gradient": (
        "trained: ascent and retention, each along what does not hurt the other",
        "trained.restricted_gradient:RestrictedGradient",
    ),
    "esd": (
        "trained: a concept's prediction is moved away from itself, along negative guidance",
        "trained.esd:Esd",
    ),
    "concept-ablation": (
        "trained: on pictures of the anchor, the concept learns to predict what the anchor does",
        "trained.concept_ablation:ConceptAblation",
    ),
    "spm": (
        "trained: an adapter of rank one a concept, merged",
        "trained.spm:Spm",
    ),
    "mace": (
        "refined in closed form, an adapter trained for each concept, fused in closed form",
        "trained.mace:Mace",
    ),
    "salun": (
        "trained: concepts are reassigned, on the weights of largest saliency",
        "trained.salun:SalUn",
    ),
}
