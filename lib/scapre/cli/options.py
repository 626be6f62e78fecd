"""What several commands ask for and say: model and type, names, settings, summaries. Loads nothing heavy."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scapre.model.places import locate

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from scapre.patch.patch import Patch

#: kinds of devices torch knows; whether one is there is asked when it is used
DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla")


def finite(value: float) -> float:
    """Refuse what is no number; ranges let it through."""
    if not isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


WORD = re.compile("[a-z][a-z0-9-]*")
Model = Annotated[str, typer.Option(help="diffusers folder or hub id")]
Device = Annotated[str, typer.Option(help="cpu, cuda, …")]
Variant = Annotated[str | None, typer.Option(help="which set of model files, e.g. fp16")]
Strength = Annotated[float, typer.Option(min=0, max=1, callback=finite, help="part of the edit to apply, 0 to 1")]
PatchFile = Annotated[Path, typer.Option(help="a patch file of scapre erase")]


class Dtype(StrEnum):
    """Floating types a pipeline can be loaded in."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"

    @property
    def torch(self) -> torch.dtype:
        """The type of that name."""
        import torch

        return getattr(torch, self.value)


Type = Annotated[Dtype | None, typer.Option("--dtype", help="type of the weights; default: the patch's, else float32")]


NO_DEVICE = "the device {!r} cannot be used here; name another, e.g. cpu"


def meant(model: str | None, device: str) -> None:
    """Refuse a model or a device that there cannot be, before torch is loaded."""
    if model is not None:
        locate(model)
    if device.partition(":")[0] not in DEVICES:
        raise ValueError(NO_DEVICE.format(device))


def type_of(device: str, dtype: Dtype | None, patch: Patch | None) -> torch.dtype:
    """Choose the type of the weights: the one asked for, else the patch's; refuse a device that is not there."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(NO_DEVICE.format(device)) from error
    held = next(iter(patch.edited.values())).dtype if patch and patch.edited else torch.float32
    return dtype.torch if dtype else held


def load(model: str, device: str, dtype: Dtype | None, variant: str | None, patch: Patch | None = None) -> Any:
    """Load the pipeline, in the patch's type unless another is asked for."""
    from scapre.model.backbones import load_pipeline

    return load_pipeline(model, device=device, dtype=type_of(device, dtype, patch), variant=variant)


def names(given: list[str] | None, file: str | None, what: str, required: bool = False) -> list[str]:
    """Read names from options "a, b", which may repeat, or from a concept file, never both."""
    from scapre.concepts.names import split_names

    if given and file is not None:
        raise ValueError(f"give --{what} or --{what}-file, not both")
    if required and not given and file is None:
        raise ValueError(f"name what to erase with --{what} or --{what}-file")
    if file is not None:
        from scapre.concepts.lists import read_concepts

        return read_concepts(file)["name"].tolist()
    return [name for text in given or () for name in split_names(text)]


def settings(pairs: list[str]) -> dict[str, Any]:
    """Parse ``key=value`` pairs; values are numbers, true, false, or words.

    >>> settings(["ridge=0.5", "use_mask=false", "trained=cross-attention"])
    {'ridge': 0.5, 'use_mask': False, 'trained': 'cross-attention'}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = (part.strip() for part in pair.partition("="))
        if key in values:
            raise ValueError(f"the setting {key} is given twice; give it once")
        try:
            values[key] = json.loads(text.lower())
        except ValueError:  # no JSON, or a number of thousands of digits
            values[key] = text
        if not sign or not key or not (isinstance(values[key], int | float) or WORD.fullmatch(text)):
            raise ValueError(f"cannot read the setting {pair!r}; write key=number, key=true, key=false or key=word")
    return values


def check_settings(method: str | None, values: dict[str, Any]) -> None:
    """Refuse settings that the method, or neither default, has; the model says later which of them it is."""
    from scapre.methods.registry import ALONE, DEFAULT, complete

    mistakes: list[ValueError] = []
    for name in [method] if method else [DEFAULT, ALONE]:
        try:
            complete(name, values)
        except ValueError as mistake:
            mistakes.append(mistake)
        else:
            return
    raise mistakes[0]


def summary(patch: Patch) -> pd.DataFrame:
    """Mean and maximum of the diagnostics over matrices."""
    import pandas as pd

    table = pd.DataFrame(patch.table())
    return table[[c for c in ("drift", "retained_drift", "residual") if c in table]].agg(["mean", "max"])
