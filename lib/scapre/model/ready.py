"""Is a pipeline as an edit needs it? Said before any prompt is encoded."""

from __future__ import annotations

from typing import Any

from scapre.model.places import NO_ENCODER
from scapre.model.projections import remedy, unet_of
from scapre.model.weights import ENCODERS


def check_ready(pipe: Any) -> None:
    """Refuse a pipeline whose text features or weights are not what an edit would take them for.

    Raises:
        ValueError: no UNet or no first text encoder (SDXL's refiner), a text encoder under an adapter, a UNet
            that projects text before attention reads it, or weights that are offloaded.
    """
    unet = unet_of(pipe)
    if getattr(pipe, "text_encoder", None) is None or getattr(pipe, "tokenizer", None) is None:
        raise ValueError(NO_ENCODER.format(type(pipe).__name__))
    kind = getattr(getattr(unet, "config", None), "encoder_hid_dim_type", None)
    if kind not in (None, "ip_image_proj"):  # IP-Adapter's passes text on as it is
        raise ValueError(f"this UNet projects text before attention reads it ({kind}); use Stable Diffusion or SDXL")
    parts = {name: part for name in ENCODERS if (part := getattr(pipe, name, None)) is not None}
    for name, part in parts.items():
        if layer := next((layer for layer in part.modules() if hasattr(layer, "base_layer")), None):
            raise ValueError(f"{name} carries an adapter, so names mean something else with it; {remedy(layer)}")
    for name, part in {"unet": unet, **parts}.items():
        if any(weight.is_meta for weight in part.parameters()):
            raise ValueError(f"the {name} is offloaded; call pipe.remove_all_hooks() or load without offloading")
