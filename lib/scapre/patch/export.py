"""A patch in the forms other tools load: LoRA, DoRA, or a whole pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.files import claim_folder, new_folder, write_tensors, write_text
from scapre.maths.bures import row_step_share
from scapre.model.weights import DENOISERS, part_of
from scapre.patch.adapters import Adapter, dora, lora
from scapre.patch.card import base_licence, card_text, without_loader
from scapre.patch.edits import edit_record, edits_of, fill
from scapre.patch.naming import FILES, diffusers_state, kohya_state, one_rank, peft_state
from scapre.patch.patch import Patch
from scapre.patch.places import PatchError, check_form


def make_adapters(
    patch: Patch,
    form: str = "lora",
    *,
    rank: int | None = None,
    tolerance: float = 1e-2,
    progress: bool = False,
) -> dict[str, Adapter]:
    """Factor every changed matrix.

    Args:
        patch: with its originals at hand.
        form: ``lora`` or ``webui``, which differ in names alone, or ``dora``, which is exact at a lower rank
            when the method ends with one Bures row step.
        rank: of every matrix; None: as few as the tolerance allows, matrix by matrix.
        tolerance: largest share of the edit that may be lost.
        progress: show a bar.

    Returns:
        parameter name → adapter.

    Raises:
        ValueError: unknown form, or a rank below 1, or a tolerance outside (0, 1).
        PatchError: the originals are not at hand, or the patch changes nothing, or a weight that is no matrix.
    """
    if form not in FILES:
        raise ValueError(f"unknown adapter form {form!r}; known: {', '.join(FILES)}")
    check_form(form, rank, tolerance)
    if not patch.changed:
        raise PatchError("this patch changes nothing, so there is nothing to export")
    if form == "webui" and "denoiser" in patch.provenance:
        raise PatchError("A1111, Forge and ComfyUI have no names for this in a transformer; use form lora")
    held = (2,) if form == "dora" else (2, 4)
    if other := next((name for name, weight in patch.changed.items() if weight.ndim not in held), None):
        raise PatchError(f"{other} is no weight that a {form} holds; use form patch or pipeline")
    adapters = {}
    for name, new in tqdm(patch.changed.items(), desc=f"factoring, {form}", disable=not progress):
        old = patch.originals()[name]
        # loaders read magnitudes in the denoiser alone
        if form == "dora" and part_of(name)[0] in DENOISERS:
            adapters[name] = dora(old, new, _share(patch, name, old, new), rank=rank, tolerance=tolerance)
        else:
            adapters[name] = lora(old, new, rank=rank, tolerance=tolerance)
    return adapters


def _share(patch: Patch, name: str, original: Tensor, edited: Tensor) -> Tensor | None:
    """The part of each original row that one Bures row step left; None when the method has another end."""
    settings = patch.provenance.get("settings", {})
    strength = patch.provenance.get("strength", 1.0)
    alignment = patch.diagnostics.get(name, {}).get("alignment")
    if settings.get("bures_iters") != 1 or settings.get("safety_valve") or alignment is None:
        return None
    old, whole = original.double(), original.double().lerp(edited.double(), 1 / strength)
    return torch.lerp(torch.ones_like(old[:, 0]), row_step_share(whole, old, settings["ridge"], alignment), strength)


def errors(patch: Patch, adapters: dict[str, Adapter]) -> pd.DataFrame:
    """Tabulate ``projection, rank, error``: the share of the edit each adapter loses."""
    old, new = patch.originals(), patch.changed
    rows = [(name, each.rank, each.error(old[name], new[name])) for name, each in adapters.items()]
    return pd.DataFrame(rows, columns=["projection", "rank", "error"])


def export(
    patch: Patch,
    folder: str | Path,
    form: str = "lora",
    *,
    pipe: Any = None,
    rank: int | None = None,
    tolerance: float = 1e-2,
    metrics: pd.DataFrame | None = None,
    licence: str | None = None,
    progress: bool = False,
) -> pd.DataFrame | None:
    """Write a folder ready to publish: weights that other programs load, and a model card that says which.

    Args:
        patch: the edit.
        folder: must not exist yet; appears only when complete.
        form: ``patch`` (without its undo), ``lora``, ``dora``, ``webui`` (a LoRA under kohya's names, for A1111,
            Forge and ComfyUI) or ``pipeline``.
        pipe: the base model: required for ``pipeline``, else for adapters of patches without
            originals and for the licence in its card.
        rank, tolerance: of adapters, see ``make_adapters``; all get the largest rank of them.
        metrics: measured on pictures, for the card: columns ``metric, value``.
        licence: of the base model; None: the one in its card.
        progress: show a bar.

    Returns:
        of adapters the table of ``errors``, else None.

    Raises:
        ValueError: unknown form, or no pipeline where one is needed.
        FileExistsError: the folder exists.
        WriteError: the folder cannot be written.
        PatchError: the patch does not fit the pipeline.
    """
    folder = Path(folder)
    check_form(form, rank, tolerance)
    if form == "pipeline" and pipe is None:
        raise ValueError("the pipeline form needs the base model; name it")
    claim_folder(folder)
    if pipe is not None:
        patch.remember(pipe)
    licence = licence or base_licence(str(getattr(pipe, "name_or_path", "")) or "absent")
    table = None
    with new_folder(folder) as partial:
        if form == "pipeline":
            with patch.applied(pipe):
                fill(pipe, partial, [*edits_of(pipe), edit_record(patch)])
        elif form == "patch":
            patch.save(partial / "patch.safetensors", undo=False)
        else:
            adapters = one_rank(make_adapters(patch, form, rank=rank, tolerance=tolerance, progress=progress))
            table = errors(patch, adapters)
            about = {"format": "pt", "provenance": json.dumps(patch.provenance), "form": form}
            if form == "webui":
                held = str(table["rank"].max())
                about |= {"ss_network_module": "networks.lora", "ss_network_dim": held, "ss_network_alpha": held}
            if without_loader(patch.provenance):
                state, config = peft_state(adapters)
                write_tensors(partial / "adapter_model.safetensors", state, about)
                write_text(partial / "adapter_config.json", json.dumps(config, indent=1) + "\n")
            else:
                name_all = kohya_state if form == "webui" else diffusers_state
                write_tensors(partial / FILES[form], name_all(adapters), about)
        text = card_text(patch, form, licence=licence, metrics=metrics, errors=table)
        write_text(partial / "README.md", text)
    return table


def error_curve(patch: Patch, ranks: Sequence[int]) -> pd.DataFrame:
    """Measure what LoRA and DoRA lose at each rank.

    Returns:
        columns ``form, rank, error``: the mean over matrices of the share of the edit that is lost.
    """
    rows = []
    for form in ("lora", "dora"):
        for rank in tqdm(ranks, desc=f"{form} against rank"):
            table = errors(patch, make_adapters(patch, form, rank=rank))
            rows.append((form, rank, table["error"].mean()))
    return pd.DataFrame(rows, columns=["form", "rank", "error"])
