"""The command that runs a published protocol whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scapre.cli.options import Device, Model, Type, Variant, meant, names, type_of
from scapre.files import claim
from scapre.model.places import EMOJI

commands = typer.Typer()


@commands.command()
def protocol(
    name: Annotated[
        str, typer.Argument(help="imagenette, diversi50, confuse5, artists50, explicit, celebrities, coco, emoji-…")
    ],
    out: Annotated[Path | None, typer.Option(help="folder of the run; continued when it exists")] = None,
    model: Model = EMOJI,
    methods: Annotated[str, typer.Option(help='names of scapre.methods(): "staged, uce"')] = "staged",
    pictures: Annotated[
        int | None, typer.Option(min=1, help="of each concept, or so many captions; default: the protocol's")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="of coco: captions_val2014.json, or a table with a column caption")
    ] = None,
    listed: Annotated[
        str | None,
        typer.Option("--list", help="of celebrities: prompts with type, concept and seed; of coco: what is erased"),
    ] = None,
    retain_file: Annotated[
        str | None, typer.Option(help="concepts to keep, drawn as well; as --retain-file of erase")
    ] = None,
    judge: Annotated[str | None, typer.Option(help="as of scapre score; default: the protocol's")] = None,
    dry: Annotated[bool, typer.Option("--dry", help="say pictures, hours and disk, and stop")] = False,
    batch: Annotated[int, typer.Option(min=1, help="pictures at once")] = 4,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default: as of scapre generate")] = None,
    scheduler: Annotated[str | None, typer.Option(help="address of a Dask scheduler, or local")] = None,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Erase, draw and judge as a published table does, and print its rows beside ours; an interrupted run continues.

    \\b
    Examples:
      scapre protocol imagenette --model path/to/sd15 --device cuda --dry
      scapre protocol imagenette --model path/to/sd15 --device cuda --methods "staged, uce" --out run
      scapre protocol coco --captions captions_val2014.json --model path/to/sd15 --device cuda --pictures 1000 --out run
      scapre protocol celebrities --list 100_celebrity.csv --judge path/to/classifier --model path/to/sd14 --out run
      scapre protocol emoji-imagenette --methods "staged, uce" --out run
    """
    from scapre.concepts.names import split_names
    from scapre.experiments.protocols import find_protocol
    from scapre.methods.registry import find_method

    asked = find_protocol(name).bring(captions=captions, listed=listed)
    wanted = list(dict.fromkeys(split_names(methods)))
    for method in wanted:
        find_method(method)
    if not wanted:
        raise ValueError('name methods with --methods "staged, uce"')
    if out is None and not dry:
        raise ValueError("name the folder of the run with --out, or ask what it takes with --dry")
    keep = names(None, retain_file, "retain") if retain_file else []
    meant(model, device)
    if out is not None:
        claim(out / "table.csv")
    from scapre.experiments.protocol_run import estimate, run_protocol, with_intervals
    from scapre.pictures.farm import Studio
    from scapre.pictures.looking import load_judge

    studio = Studio(model, device, type_of(device, dtype, None), variant)
    typer.echo(f"{name}: {asked.about}; {asked.steps} steps, guidance {asked.guidance:g}, judge {judge or asked.judge}")
    if dry:
        takes = estimate(asked, studio, wanted, pictures=pictures, keep=keep)
        typer.echo(
            f"{takes['pictures']:.0f} pictures, {takes['hours']:.2g} hours on one {device}, "
            f"{takes['gigabytes']:.2g} GB on disk (from one picture drawn now)"
        )
        return
    eye = load_judge(judge or asked.judge, device=device)
    made = {"pictures": pictures, "keep": keep, "batch": batch, "workers": workers, "scheduler": scheduler}
    table = run_protocol(asked, studio, wanted, eye, out, **made)  # type: ignore[arg-type]
    typer.echo(with_intervals(table).to_string(index=False))
