"""Commands that apply, undo and describe an edit."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from scapre.cli.options import Device, Model, PatchFile, Strength, Type, Variant, load, meant, summary
from scapre.files import claim_folder
from scapre.model.places import EMOJI
from scapre.patch.places import find_patch

commands = typer.Typer()


@commands.command()
def apply(
    patch: Annotated[list[Path], typer.Option(help="a patch file; may be repeated, applied in this order")],
    out: Annotated[Path, typer.Option(help="the folder to write; must not exist")],
    model: Model = EMOJI,
    strength: Strength = 1.0,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Write an edited copy of a model as a diffusers folder.

    \b
    Examples:
      scapre apply --patch no-dog.safetensors --out edited
      scapre apply --model path/to/sd15 --patch edit.safetensors --strength 0.5 --out half
    """
    for file in patch:
        find_patch(file)
    meant(model, device)
    claim_folder(out)
    from scapre.model.fingerprint import size_of
    from scapre.model.projections import denoiser_of
    from scapre.patch.edits import edit_record, edits_of, save_pipeline
    from scapre.patch.patch import Patch

    loaded = [Patch.load(file) for file in patch]
    pipe = load(model, device, dtype, variant, loaded[0])
    claim_folder(out, room=size_of(denoiser_of(pipe).state_dict()))
    for each in loaded:
        each.remember(pipe)
        (each.scaled(strength) if strength != 1 else each).apply(pipe)
    typer.echo(save_pipeline(pipe, out, [*edits_of(pipe), *(edit_record(each, strength) for each in loaded)]))


@commands.command()
def undo(
    patch: PatchFile,
    out: Annotated[Path, typer.Option(help="the folder to write; must not exist")],
    model: Annotated[str, typer.Option(help="the edited diffusers folder")],
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Write the model as it was before an edit; needs NAME.undo.safetensors beside the patch.

    \b
    Example:
      scapre undo --model edited --patch no-dog.safetensors --out restored
    """
    find_patch(patch)
    meant(model, device)
    claim_folder(out)
    from scapre.patch.edits import edits_of, save_pipeline, undo_edit
    from scapre.patch.patch import Patch

    loaded = Patch.load(patch)
    pipe = load(model, device, dtype, variant, loaded)
    typer.echo(save_pipeline(pipe, out, undo_edit(pipe, loaded, edits_of(pipe))))


@commands.command()
def inspect(
    patch: Annotated[Path, typer.Argument(help="a patch file")],
    as_json: Annotated[bool, typer.Option("--json", help="everything, for programs")] = False,
) -> None:
    """Say what a patch erases, how, from which model, and how far each matrix moved.

    \b
    Example:
      scapre inspect no-dog.safetensors
    """
    find_patch(patch)
    from scapre.editing.guard import warnings
    from scapre.model.fingerprint import fingerprint
    from scapre.patch.patch import Patch

    loaded = Patch.load(patch)
    if as_json:
        typer.echo(
            json.dumps({"provenance": loaded.provenance, "diagnostics": loaded.diagnostics, "base": loaded.base})
        )
        return
    about = loaded.provenance
    first = next(iter(loaded.edited.values()), None)
    facts = {
        "model": about["model"],
        "method": f"{about['method']} ({', '.join(f'{k} {v}' for k, v in about['settings'].items())})",
        f"targets ({len(about['targets'])})": ", ".join(about["targets"]),
        "other words": ", ".join(word for words in about.get("words", {}).values() for word in words) or "–",
        "anchors": ", ".join(repr(a) for a in dict.fromkeys(about["anchors"])),
        f"retained ({len(about['retained'])})": ", ".join(about["retained"]) or "–",
        "sentences": about["templates"],
        "strength": about.get("strength", 1.0),
        "matrices": f"{len(loaded.edited)} of {first.dtype if first is not None else 'no type'}",
        "undo": "beside it" if loaded.original else "needs the base model",
        "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
        "SHA-256": fingerprint(loaded.edited),
    }
    for name, value in facts.items():
        typer.echo(textwrap.fill(f"{name:>15}  {value}", 110, subsequent_indent=" " * 17))
    typer.echo("\ndrift ‖W − W₀‖ / ‖W₀‖ of each matrix")
    drifts = {name: row["drift"] for name, row in loaded.diagnostics.items()}
    width, largest = max(map(len, drifts), default=0), max([*drifts.values(), 1e-12])
    for name, drift in drifts.items():
        typer.echo(f"{name:<{width}}  {drift:.3f}  {'█' * round(40 * drift / largest)}")
    typer.echo(f"\n{summary(loaded).to_string(float_format='%.4f')}")
    for line in warnings(loaded):
        typer.echo(f"warning: {line}", err=True)
