"""Commands that rebuild the data and emoji-sd."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scapre.files import claim
from scapre.paths import control_folder, data_folder, dit_folder, judge_folder, model_folder

commands = typer.Typer()


@commands.command("build-data")
def build_data() -> None:
    """Draw data/emoji/emoji.parquet anew from the pinned npm packages (needs npm)."""
    claim(data_folder() / "emoji" / "emoji.parquet")
    from scapre.concepts.emoji import build_emoji

    typer.echo(build_emoji())


@commands.command()
def train(
    part: Annotated[
        str, typer.Argument(help="autoencoder, text, decoder, judge, denoiser, control, transformer, or all")
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="shorter or longer than the recipe")] = None,
) -> None:
    """Train a part of emoji-sd; interrupted runs resume. `all` also assembles the pipeline."""
    from scapre.training.parts import CONTROL, PARTS, TRANSFORMER, check_part, workplace

    if part != "all":
        check_part(part)
    parts = PARTS if part == "all" else (part,)
    claim(*(workplace() / each / "checkpoint.safetensors" for each in parts))
    written = {"all": (model_folder(), judge_folder()), CONTROL: (control_folder(),), TRANSFORMER: (dit_folder(),)}
    _claim_models(*written.get(part, ()))
    from scapre.training import recipe

    for each in parts:
        recipe.train_part(each, steps)
    if part == "all":
        typer.echo(recipe.assemble())


@commands.command()
def assemble() -> None:
    """Write data/models/ from the trained parts."""
    _claim_models(model_folder(), judge_folder())
    from scapre.training import recipe

    typer.echo(recipe.assemble())


@commands.command()
def card(
    quick: Annotated[bool, typer.Option(help="a tenth of the pictures, printed, not written")] = False,
    control: Annotated[bool, typer.Option(help="the denoiser that never saw twenty concepts instead")] = False,
    dit: Annotated[bool, typer.Option(help="emoji-dit instead")] = False,
) -> None:
    """Measure emoji-sd, its control, or emoji-dit, as the model card reports it and write the card."""
    if control and dit:
        raise ValueError("--control and --dit are two models; name one")
    folder, place = model_folder(), "emoji-sd/drawing.csv"
    if control:
        folder, place = control_folder(), "emoji-sd/control.csv"
    elif dit:
        folder, place = dit_folder(), "emoji-dit/drawing.csv"
    if not quick:
        claim(folder / "README.md", data_folder() / "results" / place)
    from scapre.training import card as emoji
    from scapre.training import control_card, dit_card

    sheet = control_card if control else dit_card if dit else emoji
    tables = sheet.measure(quick=quick)
    for name, table in tables.items():
        typer.echo(f"\n{name}\n{table.to_string(index=False)}")
    if not quick:
        typer.echo(sheet.write_card(tables))


def _claim_models(*folders: Path) -> None:
    """Refuse folders of models that cannot be written; ``SHA256SUMS`` is written last."""
    claim(*(folder / "SHA256SUMS" for folder in folders))
