"""The sizes of real models, so that an edit can be timed without them."""

from __future__ import annotations

#: model → (text width, text positions, {d_out: cross-attention blocks})
SHAPES: dict[str, tuple[int, int, dict[int, int]]] = {
    "sd1": (768, 77, {320: 5, 640: 5, 1280: 6}),
    "sd2": (1024, 77, {320: 5, 640: 5, 1280: 6}),
    "sdxl": (2048, 77, {640: 10, 1280: 60}),
    "tiny": (64, 8, {32: 2}),
}


def find_shape(model: str) -> tuple[int, int, dict[int, int]]:
    """Look a model up: text width, text positions, and cross-attention blocks by ``d_out``.

    Raises:
        ValueError: no such model (the message lists the known ones).
    """
    if model not in SHAPES:
        raise ValueError(f"unknown model {model!r}; known: {', '.join(SHAPES)}")
    return SHAPES[model]


#: model → layers, heads and feed-forward width of its text encoder; SDXL has two
ENCODERS: dict[str, tuple[int, int, int]] = {"sd1": (12, 12, 3072), "sd2": (23, 16, 4096), "tiny": (2, 2, 128)}


def find_encoder(model: str) -> tuple[int, int, int]:
    """Look a model's text encoder up: layers, heads, feed-forward width.

    Raises:
        ValueError: no such model, or one with several text encoders (the message lists the known ones).
    """
    if model not in ENCODERS:
        raise ValueError(f"no text encoder is known for {model!r}; known: {', '.join(ENCODERS)}")
    return ENCODERS[model]
