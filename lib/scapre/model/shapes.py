"""The sizes of real models, so that an edit can be timed without them."""

from __future__ import annotations

from dataclasses import dataclass

#: model → (text width, text positions, {d_out: cross-attention blocks})
SHAPES: dict[str, tuple[int, int, dict[int, int]]] = {
    "sd1": (768, 77, {320: 5, 640: 5, 1280: 6}),
    "sd2": (1024, 77, {320: 5, 640: 5, 1280: 6}),
    "sdxl": (2048, 77, {640: 10, 1280: 60}),
    "tiny": (64, 8, {32: 2}),
}
TOKENS = 17  # positions that count in a short sentence where padding is masked
#: transformers whose cross-attention reads text alone, in the same terms
TRANSFORMERS: dict[str, tuple[int, int, dict[int, int]]] = {
    "pixart-sigma": (1152, TOKENS, {1152: 28}),
    "sana": (2240, TOKENS, {2240: 20}),
    "hunyuan-dit": (1024, 2 * TOKENS, {1408: 40}),
    "lumina-next": (2048, TOKENS, {576: 24}),
}
#: transformers that are edited in their first linear maps: (text width, positions, d_out) of each; a pooled text counts
#: three positions, the fewest that a solver reads
FIRST: dict[str, list[tuple[int, int, int]]] = {
    "sd3": [(4096, 2 * TOKENS, 1536), (2048, 3, 1536)],
    "flux": [(4096, TOKENS, 3072), (768, 3, 3072)],
    "qwen-image": [(3584, TOKENS, 3072)],
}
OWN = ("lumina-next",)  # every block norms the text with gains of its own


def is_transformer(model: str) -> bool:
    """Whether a model denoises with a transformer."""
    return model in TRANSFORMERS or model in FIRST


def find_shape(model: str) -> tuple[int, int, dict[int, int]]:
    """Look a model up: text width, text positions, and cross-attention blocks by ``d_out``.

    Raises:
        ValueError: no such model (the message lists the known ones).
    """
    known = SHAPES | TRANSFORMERS
    if model not in known:
        raise ValueError(f"unknown model {model!r}; known: {', '.join([*known, *FIRST])}")
    return known[model]


@dataclass(frozen=True)
class Reading:
    """Matrices that read one and the same: text width d, positions, rows of each matrix, and how often that comes."""

    width: int
    length: int
    rows: tuple[int, ...]
    times: int = 1


def readings_of(model: str) -> list[Reading]:
    """Look up what the layers of a model read.

    Raises:
        ValueError: see ``find_shape``.
    """
    if model in FIRST:
        return [Reading(width, length, (d_out,)) for width, length, d_out in FIRST[model]]
    width, length, blocks = find_shape(model)
    pairs = tuple(d_out for d_out, number in blocks.items() for _ in range(2 * number))
    return [Reading(width, length, pairs[:2], len(pairs) // 2) if model in OWN else Reading(width, length, pairs)]


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
