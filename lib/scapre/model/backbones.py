"""Load a text-to-image pipeline; the only ``from_pretrained`` outside training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from scapre.model.fingerprint import PARTS
from scapre.model.places import EMOJI, locate
from scapre.model.projections import denoiser_of
from scapre.model.sentences import lent_parts
from scapre.model.sums import DamagedError, check_sums
from scapre.paths import control_folder


def load_pipeline(
    model: str | Path = EMOJI,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
) -> Any:
    """Load a diffusers text-to-image pipeline that can be edited (see ``families``) from safetensors.

    Args:
        model: a diffusers folder (relative ones are also looked up from the repository
            root, so that a notebook may run anywhere) or a hub id.
        device: where the pipeline goes.
        dtype: floating type of its weights, whatever type the files hold.
        variant: which of several sets of files to read, e.g. ``fp16``.

    Returns:
        the pipeline, without progress bars.

    Raises:
        FileNotFoundError: a local folder is missing or incomplete.
        ValueError: a file is damaged (cut short, not what the folder's ``SHA256SUMS`` says, without a weight, or
            holding NaN or infinity), ``dtype`` is not a floating type, or the model is of a kind that cannot be edited
            (``families.refusal``).
    """
    # imported here: it takes seconds, which `import scapre` and `scapre --help` need not wait for
    from diffusers import DiffusionPipeline

    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating torch type such as torch.float32, got {dtype}")
    place = locate(model)
    if place is not None:
        check_sums(place)
    try:
        # strict: a pickle is never read in place of a missing safetensors file
        with _quietly():
            pipe = DiffusionPipeline.from_pretrained(
                str(place or model),
                dtype=dtype,
                variant=variant,
                use_safetensors=True,
                local_files_only=place is not None,
                **lent_parts(place, dtype),
            )
    except DamagedError:
        raise
    except OSError as error:
        raise FileNotFoundError(f"{model} is incomplete or cannot be reached: {error}{_variants(place)}") from error
    except Exception as error:
        raise ValueError(f"{model} is damaged and cannot be loaded: {error}{_variants(place)}") from error
    denoiser_of(pipe)  # refuses other kinds
    parts = {name: part for name in ("unet", "transformer", *PARTS) if (part := getattr(pipe, name, None)) is not None}
    for part, module in parts.items():
        absent = _absent(module, place and place / part)
        for name, weight in module.named_parameters():
            if name in absent:
                raise ValueError(f"{model}: the files of {part} hold no weight {name}; restore the model")
            if not torch.isfinite(weight).all():
                raise ValueError(f"{model}: weight {name} of {part} holds NaN or infinity; restore the model")
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _absent(module: torch.nn.Module, folder: Path | None) -> set[str]:
    """Weights that no file holds: diffusers leaves them empty, transformers draws them at random without a word.

    Of transformers' parts, CLIP's text encoders are asked, which edits change; others share weights under other names.
    """
    names = {name for name, _ in module.named_parameters()}
    files = sorted(folder.glob("*.safetensors")) if folder and type(module).__name__.startswith("CLIPText") else []
    held = set()
    for file in files:
        with safe_open(file, "pt") as opened:
            held |= {name.removeprefix("text_model.") for name in opened.keys()}
    drawn = {name for name in names if files and name.removeprefix("text_model.") not in held}
    return drawn | {name for name, weight in module.named_parameters() if weight.is_meta}


def load_denoiser(folder: str | Path) -> Any:
    """Load a UNet alone, float32, from a folder of safetensors.

    Raises:
        FileNotFoundError: the folder is missing or incomplete.
    """
    from diffusers import UNet2DConditionModel

    try:
        with _quietly():
            unet = UNet2DConditionModel.from_pretrained(str(folder), use_safetensors=True, local_files_only=True)
    except OSError as error:
        raise FileNotFoundError(f"{folder} is incomplete ({error}); restore it with git") from error
    return unet.float().eval()


def load_control(pipe: Any) -> Any:
    """Give emoji-sd the denoiser that was never shown twenty concepts; all else is shared with ``pipe``.

    Raises:
        DamagedError, FileNotFoundError: its files are not what was shipped (``scapre train control`` makes them).
    """
    check_sums(control_folder())
    other = copy(pipe)
    vars(other)["unet"] = load_denoiser(control_folder() / "unet").to(pipe.device, pipe.unet.dtype)
    return other


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the loaders' bars and notes on optional packages, and nothing after them."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    levels = [tool.get_verbosity() for tool in (diffusers_logging, transformers_logging)]
    for tool in (diffusers_logging, transformers_logging):
        tool.set_verbosity_error()
        tool.disable_progress_bar()
    try:
        yield
    finally:
        for tool, level in zip((diffusers_logging, transformers_logging), levels, strict=True):
            tool.set_verbosity(level)
            tool.enable_progress_bar()


def _variants(place: Path | None) -> str:
    """Name the variants a folder's files come in, for the end of an error."""
    found = {file.name.split(".")[-2] for file in place.rglob("*.*.safetensors")} if place else set()
    return f" (its files come as variant {', '.join(sorted(found))}; name one)" if found else ""
