"""Commands that hand an edit to people without scapre."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scapre.cli.options import Device, Type, Variant, load, meant, names
from scapre.files import claim, claim_folder, write_text
from scapre.model.places import EMOJI
from scapre.patch.places import check_form, find_patch
from scapre.paths import repository

commands = typer.Typer()
RANKS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192)
CURVES = ("confined", "scapre-scale", "scapre-paper", "uce")


@commands.command()
def export(
    patch: Annotated[Path, typer.Argument(help="a patch file")],
    out: Annotated[Path, typer.Option(help="the folder to write; must not exist")],
    form: Annotated[str, typer.Option(help="patch, lora, dora, webui (A1111, Forge, ComfyUI) or pipeline")] = "lora",
    model: Annotated[
        str | None, typer.Option(help="base model; for pipeline, and for patches without originals")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="of every matrix; default: as few as the tolerance allows")] = None,
    tolerance: Annotated[float, typer.Option(help="largest share of the edit that lora or dora may lose")] = 1e-2,
    scores: Annotated[Path | None, typer.Option(help="scores.csv of scapre score, for the card")] = None,
    licence: Annotated[str | None, typer.Option(help="of the base model; default: the one in its card")] = None,
    device: Device = "cpu",
    dtype: Type = None,
    variant: Variant = None,
) -> None:
    """Write a folder ready to publish, with a model card that says which programs load it.

    \b
    Examples:
      scapre export no-dog.safetensors --form dora --tolerance 1e-6 --out no-dog-dora
      scapre export no-dog.safetensors --form webui --out no-dog-for-comfyui
      scapre export no-dog.safetensors --form pipeline --model data/models/emoji-sd --out no-dog-full
    """
    find_patch(patch)
    check_form(form, rank, tolerance)
    if scores is not None and not scores.is_file():
        raise ValueError(f"there is no file {scores}; make it with scapre score")
    meant(model, device)
    claim_folder(out)
    import pandas as pd

    from scapre.patch.export import export as write_export
    from scapre.patch.patch import Patch

    loaded = Patch.load(patch)
    table = write_export(
        loaded,
        out,
        form,
        pipe=load(model, device, dtype, variant, loaded) if model else None,
        rank=rank,
        tolerance=tolerance,
        metrics=None if scores is None else pd.read_csv(scores),
        licence=licence,
        progress=True,
    )
    if table is not None:
        lost = table["error"]
        typer.echo(f"rank {table['rank'].max()}")
        typer.echo(f"share of the edit that is lost: mean {lost.mean():.1e}, largest {lost.max():.1e}")
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 2**20
    typer.echo(f"{out}, {size:.1f} MB")


@commands.command()
def ranks(
    targets_file: Annotated[str, typer.Option(help="concepts to erase")] = "imagenette-like",
    retain_file: Annotated[str, typer.Option(help="concepts to keep")] = "validation",
) -> None:
    """Measure what LoRA and DoRA lose against their rank on emoji-sd; writes data/results/export/ and figures/export/.

    \b
    Example:
      scapre ranks
    """
    from scapre.concepts.names import same_name

    targets = names(None, targets_file, "targets")
    erased = set(map(same_name, targets))
    kept = [name for name in names(None, retain_file, "retain") if same_name(name) not in erased]
    path = repository() / "data" / "results" / "export" / "lora_error.csv"
    picture = repository() / "figures" / "export" / "lora_error.png"
    claim(path, picture)
    import pandas as pd

    from scapre.editing.erase import erase
    from scapre.model.backbones import load_pipeline
    from scapre.patch.export import error_curve
    from scapre.workbook import figures
    from scapre.workbook.look import theme, write_figure

    pipe = load_pipeline(EMOJI)
    parts = []
    for method in CURVES:
        made = erase(pipe, targets, retained=kept, method=method)
        parts.append(error_curve(made, RANKS).assign(method=method, n=len(targets)))
    table = pd.concat(parts)[["method", "n", "form", "rank", "error"]]
    write_text(path, table.to_csv(index=False, float_format="%.4g", lineterminator="\n"))
    theme()
    enough = table[(table["form"] == "lora") & (table["error"] < 0.01)].groupby("method")["rank"].min()
    said = f"LoRA of rank {enough[CURVES[0]]} holds 99 % of the edit of {CURVES[0]}; "
    said += f"{enough.idxmax()} takes {enough.max()}"
    drawn = figures.lines(
        table,
        x="rank",
        y="error",
        hue="method",
        panel="form",
        log="xy",
        xlabel="rank of every matrix",
        ylabel="share of the edit that is lost",
        title=said,
    )
    write_figure(drawn, picture)
    typer.echo(table.pivot_table("error", "rank", ["method", "form"]).to_string(float_format="%.1e"))
