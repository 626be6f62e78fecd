"""The command that asks whether an edit worked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scapre.cli.options import Device, Model, PatchFile, Type, Variant, load, meant, names
from scapre.files import claim, write_text
from scapre.model.places import EMOJI, locate
from scapre.patch.places import find_patch
from scapre.paths import dit_folder, model_folder

commands = typer.Typer()
NOT_FORGOTTEN, DAMAGED = 3, 4  # exit status, after 0: it worked, 1: a mistake, 2: usage


@commands.command()
def check(
    patch: PatchFile,
    model: Model = EMOJI,
    synonyms: Annotated[
        list[str] | None,
        typer.Option("--synonyms", help='"TARGET: a, b"; default: emoji-sd\'s vocabulary'),
    ] = None,
    neighbours: Annotated[list[str] | None, typer.Option(help='unnamed concepts to ask for: "a, b"')] = None,
    neighbours_file: Annotated[str | None, typer.Option(help="a table with a column name, or a .txt of names")] = None,
    pictures: Annotated[
        bool | None, typer.Option("--pictures/--no-pictures", help="draw and judge; default: for the shipped models")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the table as CSV")] = None,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Did an edit work, and what did it cost? A table by name, one sentence, and a status for scripts.

    Residual: the share of the change asked for that did not happen. Drift: how far an answer moved. Status 0: it
    worked, 3: not forgotten, 4: forgotten, but others are damaged.

    \b
    Examples:
      scapre check --patch no-dog.safetensors
      scapre check --model path/to/sd15 --patch edit.safetensors --synonyms "dog: puppy, hound" --neighbours "wolf, fox"
    """
    find_patch(patch)
    others = names(neighbours, neighbours_file, "neighbours")
    also = dict(_pair(text) for text in synonyms or ())
    meant(model, device)
    claim(out)
    place = locate(model)
    ours = place is not None and place.resolve() in {model_folder().resolve(), dit_folder().resolve()}
    judged = ours if pictures is None else pictures
    from scapre.editing.guard import left_open, warnings
    from scapre.experiments import check as asked
    from scapre.patch.patch import Patch
    from scapre.pictures.judges import load_judges

    loaded = Patch.load(patch)
    pipe = load(model, device, dtype, variant, loaded)
    known = asked.synonyms_of(loaded.provenance["targets"])
    if strange := sorted(set(also) - set(known)):
        raise ValueError(
            f"{strange[0]!r} is no target of {patch}; its targets: {', '.join(loaded.provenance['targets'])}"
        )
    table = asked.check(pipe, loaded, synonyms=known | also, neighbours=others or None)
    drawn = asked.draw_sides(pipe, load_judges(), loaded, table) if judged else {}
    typer.echo(table.to_string(index=False, float_format="%.2f", na_rep="–"))
    if out is not None:
        write_text(out, table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    if seen := asked.usual(table):
        typer.echo(
            f"edits of this size left {seen['unlearn']:.0f} % of the targets and {seen['preserve']:.0f} % of the kept "
            "concepts recognisable on emoji-sd"
        )
    for line in [*warnings(loaded), *left_open(pipe, loaded)]:
        typer.echo(f"note: {line}", err=True)
    found = asked.verdict(table, drawn)
    typer.echo(found.sentence)
    if not (found.forgotten and found.kept):
        raise typer.Exit(DAMAGED if found.forgotten else NOT_FORGOTTEN)


def _pair(text: str) -> tuple[str, list[str]]:
    """Read ``TARGET: a, b``."""
    from scapre.concepts.names import split_names

    target, sign, others = text.partition(":")
    if not sign or not target.strip() or not split_names(others):
        raise ValueError(f'cannot read the synonyms {text!r}; write "TARGET: a, b"')
    return target.strip(), split_names(others)
