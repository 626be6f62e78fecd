"""Commands that draw prompt lists and judge them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scapre.cli.options import Device, Model, Strength, Type, Variant, finite, meant, names, type_of
from scapre.files import claim
from scapre.model.places import EMOJI, GUIDANCE, STEPS
from scapre.patch.places import find_patch
from scapre.pictures.places import RECORD, SCORES, find_drawn

commands = typer.Typer()


@commands.command()
def generate(
    prompts: Annotated[Path, typer.Option(help="a table with a column prompt (CSV, JSON lines, …), or one a line")],
    out: Annotated[Path, typer.Option(help="folder of {case_number}_{k}.png; continued when it exists")],
    model: Model = EMOJI,
    patch: Annotated[Path | None, typer.Option(help="a patch file to apply first")] = None,
    strength: Strength = 1.0,
    samples: Annotated[int, typer.Option(min=1, help="pictures a prompt, k = 0, 1, …; seed evaluation_seed + k")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="denoising steps; published SD 1.5 tables use 50")] = STEPS,
    guidance: Annotated[
        float, typer.Option(callback=finite, help="guidance scale; published SD 1.5 tables use 7.5")
    ] = GUIDANCE,
    batch: Annotated[int, typer.Option(min=1, help="pictures at once; changes no picture")] = 16,
    by_row: Annotated[
        bool, typer.Option("--by-row", help="number pictures by row, where prompts share a case")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: one a core on the CPU, one an accelerator")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="address of a Dask scheduler, or local for a cluster started here")
    ] = None,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Draw every prompt of a list with a model, edited or not; an interrupted run continues.

    \b
    Examples:
      scapre generate --prompts prompts.csv --out before
      scapre generate --prompts prompts.csv --patch no-dog.safetensors --out after
      scapre generate --prompts prompts.csv --out before --scheduler tcp://10.0.0.1:8786
    """
    from scapre.concepts.prompts import read_prompts

    table = read_prompts(prompts, by_row=by_row)
    if patch is not None:
        find_patch(patch)
    meant(model, device)
    claim(out / RECORD)
    from scapre.patch.patch import Patch
    from scapre.pictures.farm import Studio, draw_list

    held = type_of(device, dtype, Patch.load(patch) if patch else None)
    studio = Studio(model, device, held, variant, str(patch.resolve()) if patch else None, strength)
    common: dict[str, Any] = {"samples": samples, "steps": steps, "guidance": guidance, "batch": batch}
    typer.echo(draw_list(studio, table, out, workers=workers, scheduler=scheduler, **common))


@commands.command()
def score(
    folder: Annotated[Path, typer.Argument(help="a folder of scapre generate")],
    judge: Annotated[
        str,
        typer.Option(
            help="emoji-sd, nudenet, imagenet, clip, folder or hub id of a classifier or CLIP model, folder of LPIPS"
        ),
    ] = "emoji-sd",
    names_file: Annotated[
        str | None, typer.Option(help="what CLIP chooses from, as --targets-file; default: the pictures' classes")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="a folder of the same prompts, the unedited model's first; may be repeated"),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Judge a folder of pictures: accuracies, CLIP score, explicit content; writes scores.csv into it.

    With --against: all folders side by side, with UQ over them and distances to the first of the others (LPIPS: picture
    by picture).

    \b
    Examples:
      scapre score after
      scapre score after --judge imagenet --device cuda
      scapre score after --judge clip --against before --against uce
      scapre score after --judge nudenet
    """
    claim(find_drawn(folder) / SCORES)
    for other in against or ():
        find_drawn(other)
    meant(None, device)
    listed = names([], names_file, "names") if names_file else []
    type_of(device, None, None)
    from scapre.pictures.looking import PairJudge, load_judge
    from scapre.pictures.scoring import compare
    from scapre.pictures.scoring import score as judge_folder

    loaded = load_judge(judge, listed, device)
    if isinstance(loaded, PairJudge) and not against:
        raise ValueError(f"{loaded.about} compares two pictures; name the unedited model's folder with --against")
    table = judge_folder(folder, loaded)
    typer.echo(f"judged by {loaded.about}")
    if len(table):
        typer.echo(table.drop(columns="judge").to_string(index=False, float_format="%.2f", na_rep="–"))
    if against:
        beside = compare(folder, against, loaded).drop(columns="judge")
        typer.echo(f"\n{beside.to_string(index=False, float_format='%.2f', na_rep='–')}")
