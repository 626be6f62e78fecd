"""What several commands ask for: the model and its type, lists of names, method settings."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from scapre.concepts.lists import read_concepts
from scapre.model.backbones import load_pipeline
from scapre.patch.patch import Patch

EMOJI = "data/models/emoji-sd"
WORD = re.compile("[a-z][a-z0-9-]*")
Model = Annotated[str, typer.Option(help="diffusers folder or hub id")]
Device = Annotated[str, typer.Option(help="cpu, cuda, …")]
Variant = Annotated[str | None, typer.Option(help="which set of model files, e.g. fp16")]
PatchFile = Annotated[Path, typer.Option(help="a patch file of scapre erase")]


class Dtype(StrEnum):
    """Floating types a pipeline can be loaded in."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"

    @property
    def torch(self) -> torch.dtype:
        """The type of that name."""
        return getattr(torch, self.value)


Type = Annotated[Dtype | None, typer.Option("--dtype", help="type of the weights; default: the patch's, else float32")]


def type_of(device: str, dtype: Dtype | None, patch: Patch | None) -> torch.dtype:
    """Choose the type of the weights: the one asked for, else the patch's; refuse a device that is not there."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"the device {device!r} cannot be used here; name another, e.g. cpu") from error
    held = next(iter(patch.edited.values())).dtype if patch and patch.edited else torch.float32
    return dtype.torch if dtype else held


def load(model: str, device: str, dtype: Dtype | None, variant: str | None, patch: Patch | None = None) -> Any:
    """Load the pipeline, in the patch's type unless another is asked for."""
    return load_pipeline(model, device=device, dtype=type_of(device, dtype, patch), variant=variant)


def names(given: str | None, file: str | None, what: str, required: bool = False) -> list[str]:
    """Read names from an option "a, b" or from a concept file, never both."""
    if given is not None and file is not None:
        raise ValueError(f"give --{what} or --{what}-file, not both")
    if required and given is None and file is None:
        raise ValueError(f"name what to erase with --{what} or --{what}-file")
    if file is not None:
        return read_concepts(file)["name"].tolist()
    return [name.strip() for name in given.split(",")] if given is not None else []


def settings(pairs: list[str]) -> dict[str, Any]:
    """Parse ``key=value`` pairs; values are numbers, true, false, or words.

    >>> settings(["ridge=0.5", "use_mask=false", "trained=cross-attention"])
    {'ridge': 0.5, 'use_mask': False, 'trained': 'cross-attention'}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        try:
            values[key] = json.loads(text.lower())
        except json.JSONDecodeError:
            values[key] = text
        if not sign or not (isinstance(values[key], int | float) or WORD.fullmatch(text)):
            raise ValueError(f"cannot read the setting {pair!r}; write key=number, key=true, key=false or key=word")
    return values
