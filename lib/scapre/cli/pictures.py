"""Commands that draw prompt lists and judge them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from scapre.cli.options import EMOJI, Device, Model, Type, Variant, load, type_of
from scapre.concepts.prompts import read_prompts
from scapre.model.sampling import GUIDANCE, STEPS
from scapre.patch.patch import Patch
from scapre.pictures.farm import Studio, generate_apart
from scapre.pictures.generation import generate as draw
from scapre.pictures.generation import score as judge
from scapre.pictures.judges import load_judges
from scapre.pool import cores

commands = typer.Typer()


@commands.command()
def generate(
    prompts: Annotated[Path, typer.Option(help="CSV: case_number,prompt,class,evaluation_seed, or one prompt a line")],
    out: Annotated[Path, typer.Option(help="folder of {case_number}_{k}.png; continued when it exists")],
    model: Model = EMOJI,
    patch: Annotated[Path | None, typer.Option(help="a patch file to apply first")] = None,
    strength: Annotated[float, typer.Option(help="part of the edit to apply, 0 to 1")] = 1.0,
    samples: Annotated[int, typer.Option(help="pictures a prompt, k = 0, 1, …; seed evaluation_seed + k")] = 1,
    steps: Annotated[int, typer.Option(help="denoising steps; published SD 1.5 tables use 50")] = STEPS,
    guidance: Annotated[float, typer.Option(help="guidance scale; published SD 1.5 tables use 7.5")] = GUIDANCE,
    batch: Annotated[int, typer.Option(help="pictures at once; changes no picture")] = 16,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: one a core on the CPU, one on an accelerator")
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
    table = read_prompts(prompts)
    loaded = Patch.load(patch) if patch else None
    common: dict[str, Any] = {"samples": samples, "steps": steps, "guidance": guidance, "batch": batch}
    usual = cores() if device == "cpu" and len(table) * samples > batch else 1
    if scheduler or (workers or usual) > 1:
        held = type_of(device, dtype, loaded)
        studio = Studio(model, device, held, variant, str(patch.resolve()) if patch else None, strength)
        many = None if scheduler and scheduler != "local" else workers or usual
        typer.echo(generate_apart(studio, table, out, workers=many, scheduler=scheduler, **common))
        return
    pipe = load(model, device, dtype, variant, loaded)
    if loaded is not None:
        loaded.remember(pipe)
        loaded = loaded.scaled(strength) if strength != 1 else loaded
    with loaded.applied(pipe) if loaded else nullcontext():
        typer.echo(draw(pipe, table, out, patch=loaded, **common))


@commands.command()
def score(folder: Annotated[Path, typer.Argument(help="a folder of scapre generate")]) -> None:
    """Judge a folder of pictures of emoji-sd: unlearn and preserve accuracy, CLIP score; writes scores.csv into it.

    \b
    Example:
      scapre score after
    """
    table = judge(folder, load_judges(), load(EMOJI, "cpu", None, None))
    typer.echo(table.to_string(index=False, float_format="%.2f", na_rep="–"))
