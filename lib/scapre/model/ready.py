"""Is a pipeline as an edit needs it? Said before any prompt is encoded."""

from __future__ import annotations

from typing import Any

from scapre.model.places import NO_ENCODER
from scapre.model.projections import remedy
from scapre.model.weights import ENCODERS, parts_of


def check_ready(pipe: Any) -> None:
    """Refuse a pipeline whose text features or weights are not what an edit would take them for.

    Raises:
        ValueError: nothing to edit or no first text encoder (SDXL's refiner), a text encoder under an adapter, one
            that the UNet's own pipeline does not read (Kolors), or weights that are offloaded.
    """
    parts = parts_of(pipe)
    if getattr(pipe, "text_encoder", None) is None or getattr(pipe, "tokenizer", None) is None:
        raise ValueError(NO_ENCODER.format(type(pipe).__name__))
    reader = type(pipe.text_encoder).__name__
    if "unet" in parts and reader.startswith("ChatGLM"):
        raise ValueError(f"{type(pipe).__name__} pads {reader}'s text on the left, which is not built; use SDXL")
    for name, part in parts.items():
        layer = next((layer for layer in part.modules() if hasattr(layer, "base_layer")), None)
        if layer is not None and name in ENCODERS:
            raise ValueError(f"{name} carries an adapter, so names mean something else with it; {remedy(layer)}")
    for name, part in parts.items():
        if any(weight.is_meta for weight in part.parameters()):
            raise ValueError(f"the {name} is offloaded; call pipe.remove_all_hooks() or load without offloading")
