"""The command that asks what an edited model still knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scapre.cli.options import Device, Model, PatchFile, Type, Variant, load, meant
from scapre.files import claim, write_text
from scapre.model.places import EMOJI
from scapre.patch.places import find_patch

commands = typer.Typer()


@commands.command()
def stress(
    patch: PatchFile,
    out: Annotated[Path, typer.Option(help="a folder for answers, pictures, table, figure and verdict; continued")],
    model: Model = EMOJI,
    probes: Annotated[str, typer.Option(help='all, or "NAME, NAME"')] = "all",
    budget: Annotated[str, typer.Option(help="small or full")] = "small",
    seed: Annotated[int, typer.Option(help="of every draw")] = 0,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Is a concept gone, or only avoided? Attacks, other words and relearning, beside the unedited model.

    \b
    Examples:
      scapre stress --patch no-dog.safetensors --out stressed
      scapre stress --patch no-dog.safetensors --probes "synonyms, inversion-1, relearn-full" --out stressed
    """
    from scapre.concepts.names import split_names
    from scapre.experiments.stress.budget import BUDGETS
    from scapre.experiments.stress.probes import chosen

    wanted = split_names(probes)
    chosen(wanted)
    if budget not in BUDGETS:
        raise ValueError(f"unknown budget {budget!r}; known: {', '.join(BUDGETS)}")
    find_patch(patch)
    table, drawing, words = (out / name for name in ("table.csv", "figure.png", "verdict.txt"))
    claim(table, drawing, words, out / "rows.csv")
    meant(model, device)
    from scapre.experiments.stress import report
    from scapre.experiments.stress.run import stress as ask
    from scapre.patch.patch import Patch
    from scapre.pictures.judges import load_judges
    from scapre.workbook.look import write_figure

    loaded = Patch.load(patch)
    if not loaded.changed:
        typer.echo("warning: this patch changes nothing; edited and unedited are one model", err=True)
    pipe = load(model, device, dtype, variant, loaded)
    rows = ask(pipe, loaded, load_judges(), BUDGETS[budget], out, probes=wanted, seed=seed)
    found = report.summary(rows)
    for place, held in ((out / "rows.csv", rows), (table, found)):
        write_text(place, held.to_csv(index=False, float_format="%.2f", lineterminator="\n"))
    write_figure(report.figure(rows), drawing)
    said = report.verdict(rows)
    write_text(words, said + "\n")
    typer.echo(found.to_string(index=False, float_format="%.0f", na_rep="–"))
    typer.echo(said)
