"""Commands that make, apply, undo and describe an edit."""

from __future__ import annotations

import json
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scapre.cli.options import Device, Model, PatchFile, Strength, Type, Variant, load, meant, names, settings
from scapre.files import claim, claim_folder
from scapre.model.places import EMOJI
from scapre.patch.places import find_memory, find_patch, undo_path

if TYPE_CHECKING:
    import pandas as pd

    from scapre.patch.patch import Patch

commands = typer.Typer()


@commands.command()
def erase(
    out: Annotated[Path, typer.Option(help="the patch file to write, NAME.safetensors")],
    model: Model = EMOJI,
    targets: Annotated[
        list[str] | None, typer.Option(help='concepts to forget: "a, b"; may repeat; quotes around a name with a comma')
    ] = None,
    targets_file: Annotated[
        str | None,
        typer.Option(help="a table with a column name, a .txt of one name a line, or a list of data/concepts"),
    ] = None,
    anchors: Annotated[
        str | None,
        typer.Option(help='what replaces them: one prompt, or one a target: "a, b"; none: the method chooses'),
    ] = None,
    retain: Annotated[list[str] | None, typer.Option(help='concepts to keep: "a, b"; may repeat')] = None,
    retain_file: Annotated[
        str | None, typer.Option(help="as --targets-file; names that are targets are left out")
    ] = None,
    method: Annotated[str, typer.Option(help="a name of scapre.methods()")] = "staged",
    templates: Annotated[
        str | None, typer.Option(help="sentences of every name: name, sentences or styled; else the method's own")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--setting", "-s", help="key=value of the method")] = None,
    seed: Annotated[int, typer.Option(help="of the released formulations' random draws")] = 0,
    keep_memory: Annotated[Path | None, typer.Option(help="write what was gathered, for --earlier later")] = None,
    earlier: Annotated[Path | None, typer.Option(help="a memory: erase its concepts too, as if all at once")] = None,
    undo: Annotated[bool, typer.Option(help="write the originals to NAME.undo.safetensors beside it")] = True,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Compute the edit that makes a model forget concepts and write it as a patch file.

    \b
    Examples:
      scapre erase --targets "dog, lemon" --retain-file validation --out no-dog.safetensors
      scapre erase --model path/to/sd15 --targets-file imagenette -s erase_scale=10 --out edit.safetensors
      scapre erase --targets dog --retain cat --keep-memory one.safetensors --out one-edit.safetensors
      scapre erase --targets lemon --earlier one.safetensors --out two-edit.safetensors
    """
    from scapre.concepts.names import same_name, split_names
    from scapre.methods.registry import complete, find_method

    wanted = names(targets, targets_file, "targets", required=True)
    erased = set(map(same_name, wanted))
    kept = [n for n in names(retain, retain_file, "retain") if retain_file is None or same_name(n) not in erased]
    replaced = (split_names(anchors) or " ") if anchors is not None else None
    values = settings(setting or [])
    # what cannot be written or solved is refused before the work
    files = [out, undo_path(out) if undo else None, keep_memory]
    claim(*files)
    complete(method, values)
    _check(wanted, kept, replaced, templates)
    if find_method(method).whole and (keep_memory or earlier):
        raise ValueError(f"{method} keeps no memory of concepts; leave --keep-memory and --earlier out")
    if earlier is not None:
        find_memory(earlier)
    meant(model, device)
    from scapre.editing.erase import erase as make_patch
    from scapre.editing.erase import remember
    from scapre.editing.guard import warnings
    from scapre.editing.memory import Memory
    from scapre.editing.solve import solve
    from scapre.model.fingerprint import size_of
    from scapre.model.projections import read_projections, unet_of

    pipe = load(model, device, dtype, variant)
    claim(*files, room=size_of(read_projections(unet_of(pipe))) * (2 if undo else 1))
    start = time.perf_counter()
    asked: dict[str, Any] = {"anchors": replaced, "retained": kept, "method": method, "templates": templates}
    if find_method(method).whole:
        patch = make_patch(pipe, wanted, seed=seed, **asked, **values)
    else:
        memory = remember(pipe, wanted, **asked)
        if earlier is not None:
            memory = Memory.load(earlier, pipe).joined(memory)
        patch = solve(pipe, memory, method=method, seed=seed, progress=True, **values)
    seconds = time.perf_counter() - start
    patch.save(out, undo=undo)
    if keep_memory is not None:
        memory.save(keep_memory, pipe)
    count, stay = len(patch.provenance["targets"]), len(patch.provenance["retained"])
    typer.echo(f"{out}: {count} targets, {stay} kept, {len(patch.changed)} matrices, {seconds:.1f} s")
    typer.echo(_summary(patch).to_string(float_format="%.4f"))
    for line in warnings(patch):
        typer.echo(f"warning: {line}", err=True)


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
    from scapre.patch.edits import edit_record, edits_of, save_pipeline
    from scapre.patch.patch import Patch

    loaded = [Patch.load(file) for file in patch]
    pipe = load(model, device, dtype, variant, loaded[0])
    claim_folder(out, room=size_of(pipe.unet.state_dict()))
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
    typer.echo(f"\n{_summary(loaded).to_string(float_format='%.4f')}")
    for line in warnings(loaded):
        typer.echo(f"warning: {line}", err=True)


def _check(wanted: list[str], kept: list[str], anchors: list[str] | str | None, templates: str | None) -> None:
    """Refuse names and sentences that cannot be meant, whatever the model."""
    from scapre.concepts.lists import sentences_of
    from scapre.concepts.names import check_concepts, spread

    check_concepts(wanted, kept)
    if templates is not None:
        sentences_of(templates)
    spread(anchors or " ", wanted)


def _summary(patch: Patch) -> pd.DataFrame:
    """Mean and maximum of the diagnostics over matrices."""
    import pandas as pd

    table = pd.DataFrame(patch.table())
    return table[[c for c in ("drift", "retained_drift", "residual") if c in table]].agg(["mean", "max"])
