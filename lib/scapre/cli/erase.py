"""The command that makes an edit: at once, in sittings from a memory, with targets taken back, or after other edits."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scapre.cli.options import Device, Model, Type, Variant, check_settings, load, meant, names, settings, summary
from scapre.files import claim
from scapre.model.places import EMOJI
from scapre.patch.places import find_memory, find_patch, undo_path

if TYPE_CHECKING:
    from scapre.editing.memory import Memory
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
    method: Annotated[
        str | None, typer.Option(help="a name of scapre.methods(); default: staged, for transformers confined")
    ] = None,
    templates: Annotated[
        str | None, typer.Option(help="sentences of every name: name, sentences or styled; else the method's own")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--setting", "-s", help="key=value of the method")] = None,
    seed: Annotated[int, typer.Option(help="of the released formulations' random draws")] = 0,
    keep_memory: Annotated[Path | None, typer.Option(help="write what was gathered, for --earlier later")] = None,
    earlier: Annotated[Path | None, typer.Option(help="a memory: erase its concepts too, as if all at once")] = None,
    revoke: Annotated[
        list[str] | None, typer.Option(help='targets of the memory to take back: "a, b"; as if never erased')
    ] = None,
    after: Annotated[
        list[Path] | None,
        typer.Option(help="a patch applied before, whose changes are left alone; may repeat, in order"),
    ] = None,
    undo: Annotated[bool, typer.Option(help="write the originals to NAME.undo.safetensors beside it")] = True,
    cache: Annotated[
        bool, typer.Option(help="take text that was read before from $SCAPRE_CACHE, and keep long lists there")
    ] = True,
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
      scapre erase --targets lemon --earlier one.safetensors --keep-memory two.safetensors --out two-edit.safetensors
      scapre erase --earlier two.safetensors --revoke dog --out only-lemon.safetensors
      scapre erase --method uce --after one-edit.safetensors --targets lemon --out next.safetensors
    """
    from scapre.concepts.names import same_name, split_names
    from scapre.methods.registry import DEFAULT, find_method
    from scapre.methods.values import check_seed

    revoked, before = names(revoke, None, "revoke"), after or []
    wanted = names(targets, targets_file, "targets", required=not revoked)
    erased = set(map(same_name, wanted))
    kept = [n for n in names(retain, retain_file, "retain") if retain_file is None or same_name(n) not in erased]
    replaced = (split_names(anchors) or " ") if anchors is not None else None
    values = settings(setting or [])
    # what cannot be written or solved is refused before the work
    files = [out, undo_path(out) if undo else None, keep_memory]
    claim(*files)
    check_settings(method, values)
    check_seed(seed)
    if wanted:
        _check(wanted, kept, replaced, templates)
    elif kept or replaced or templates:
        raise ValueError("--retain, --anchors and --templates are for new targets; name some with --targets")
    _check_sittings(method or DEFAULT, keep_memory, earlier, revoked, before)
    if earlier is not None and earlier.resolve() == out.resolve():
        raise ValueError(f"{out} is the memory of --earlier; give the patch a name of its own")
    meant(model, device)
    if not cache:
        os.environ["SCAPRE_CACHE"] = "off"  # read where a list is (scapre.text.store)
    from scapre.editing.guard import warnings
    from scapre.editing.solve import method_for
    from scapre.model.fingerprint import size_of
    from scapre.model.projections import denoiser_of, read_projections

    pipe = load(model, device, dtype, variant)
    claim(*files, room=size_of(read_projections(denoiser_of(pipe))) * (2 if undo else 1))
    start, memory = time.perf_counter(), None
    method = method_for(pipe, method)
    asked: dict[str, Any] = {"anchors": replaced, "retained": kept, "method": method, "templates": templates}
    if find_method(method).whole:
        from scapre.editing.erase import erase as make_patch

        patch = make_patch(pipe, wanted, seed=seed, **asked, **values)
    elif before:
        patch = _solve_after(pipe, wanted, asked, before, seed=seed, **values)
    else:
        patch, memory = _solve_joined(pipe, wanted, asked, earlier, revoked, seed=seed, **values)
    seconds = time.perf_counter() - start
    patch.save(out, undo=undo)
    if keep_memory is not None and memory is not None:
        memory.save(keep_memory, pipe)
    count, stay = len(patch.provenance["targets"]), len(patch.provenance["retained"])
    typer.echo(f"{out}: {count} targets, {stay} kept, {len(patch.changed)} matrices, {seconds:.1f} s")
    typer.echo(summary(patch).to_string(float_format="%.4f"))
    for line in warnings(patch):
        typer.echo(f"warning: {line}", err=True)


def _check(wanted: list[str], kept: list[str], anchors: list[str] | str | None, templates: str | None) -> None:
    """Refuse names and sentences that cannot be meant, whatever the model."""
    from scapre.concepts.lists import sentences_of
    from scapre.concepts.names import check_concepts, spread

    check_concepts(wanted, kept)
    if templates is not None:
        sentences_of(templates)
    spread(anchors or " ", wanted)


def _check_sittings(
    method: str, keep_memory: Path | None, earlier: Path | None, revoked: list[str], before: list[Path]
) -> None:
    """Refuse what cannot follow each other."""
    from scapre.methods.registry import find_method

    chosen = find_method(method)
    if chosen.whole and (keep_memory or earlier):
        raise ValueError(f"{method} keeps no memory of concepts; leave --keep-memory and --earlier out")
    if before and (chosen.whole or chosen.stages):
        raise ValueError(f"{method} edits more than to_k and to_v and leaves no earlier patch alone; try --method dp")
    if before and (keep_memory or earlier):
        raise ValueError("a memory solves for all at once, --after for one more; leave --after or the memory out")
    if revoked and earlier is None:
        raise ValueError("--revoke takes targets back from a memory; name it with --earlier")
    if earlier is not None:
        find_memory(earlier)
    for patch in before:
        find_patch(patch)


def _solve_joined(
    pipe: Any,
    wanted: list[str],
    asked: dict[str, Any],
    earlier: Path | None,
    revoked: list[str],
    **how: Any,
) -> tuple[Patch, Memory]:
    """Erase what is asked now and what a memory holds, less what is revoked, at once."""
    from scapre.editing.erase import remember
    from scapre.editing.memory import Memory
    from scapre.editing.solve import solve

    if earlier is None:
        memory = remember(pipe, wanted, **asked)
    else:
        memory = Memory.load(earlier, pipe)
        memory = memory.without(*revoked) if revoked else memory
        memory = memory.joined(remember(pipe, wanted, **asked)) if wanted else memory
    return solve(pipe, memory, method=asked["method"], progress=True, **how), memory


def _solve_after(pipe: Any, wanted: list[str], asked: dict[str, Any], before: list[Path], **how: Any) -> Patch:
    """Erase further concepts from a model that earlier patches have edited, and leave what they changed alone."""
    from scapre.editing.erase import remember
    from scapre.editing.sequence import solve_next
    from scapre.patch.patch import Patch

    patches = [Patch.load(place) for place in before]
    for patch in patches:
        patch.apply(pipe)
    return solve_next(pipe, remember(pipe, wanted, **asked), patches, method=asked["method"], **how)
