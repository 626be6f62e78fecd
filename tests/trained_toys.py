"""A whole pipeline of a few thousand numbers that draws, and erasers opened on it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from scapre.concepts.lists import sentences_of
from scapre.methods.solution import Wish
from scapre.methods.trained.eraser import Eraser
from toys import tiny_pipe


def asked(
    targets: tuple[str, ...], anchors: tuple[str, ...], retained: tuple[str, ...] = (), templates: str = "name"
) -> Wish:
    return Wish(targets, anchors, retained, sentences_of(templates))


ONE = asked(("cat",), ("sun",), ("sun", "boat"))
WISH = asked(("cat", "dog"), ("sun", "boat"), ("sun", "boat", "tree"))
#: settings that make any method quick
QUICK: dict[str, Any] = {"steps": 2, "learning_rate": 1e-3, "batch": 2}
DRAWING: dict[str, Any] = {"pictures": 2, "drawing_steps": 2, "surrogates": 2}


@cache
def tiny_pipeline(dtype: torch.dtype = torch.float32, prediction: str = "epsilon") -> Any:
    """Shared by tests: no eraser changes it, which a test sees to."""
    parts = tiny_pipe()
    torch.manual_seed(7)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()
    pipe = StableDiffusionPipeline(
        vae=vae,
        unet=parts.unet.eval(),
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        scheduler=DDIMScheduler(prediction_type=prediction, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(dtype=dtype)


def opened(kind: type[Eraser], pipe: Any = None, wish: Wish = WISH, seed: int = 0, **settings: Any) -> Eraser:
    """An eraser of few steps that has met a pipeline."""
    quick = {k: v for k, v in (QUICK | DRAWING).items() if k in kind.defaults()}
    eraser = kind(**quick | settings)
    eraser.open(tiny_pipeline() if pipe is None else pipe, wish, seed)
    return eraser


def first_batch(eraser: Eraser, seed: int = 0) -> dict[str, torch.Tensor]:
    return eraser.sample(torch.Generator().manual_seed(seed))
