"""Commands that rebuild the data and emoji-sd."""

from __future__ import annotations

from typing import Annotated

import typer

commands = typer.Typer()


@commands.command("build-data")
def build_data() -> None:
    """Draw data/emoji/emoji.parquet anew from the pinned npm packages (needs npm)."""
    from scapre.concepts.emoji import build_emoji

    typer.echo(build_emoji())


@commands.command()
def train(
    part: Annotated[str, typer.Argument(help="autoencoder, text, decoder, judge, denoiser, control, or all")],
    steps: Annotated[int | None, typer.Option(min=1, help="shorter or longer than the recipe")] = None,
) -> None:
    """Train a part of emoji-sd; interrupted runs resume. `all` also assembles the pipeline."""
    from scapre.training.parts import PARTS, check_part

    if part != "all":
        check_part(part)
    from scapre.training import recipe

    for each in PARTS if part == "all" else (part,):
        recipe.train_part(each, steps)
    if part == "all":
        typer.echo(recipe.assemble())


@commands.command()
def assemble() -> None:
    """Write data/models/ from the trained parts."""
    from scapre.training import recipe

    typer.echo(recipe.assemble())


@commands.command()
def card(quick: Annotated[bool, typer.Option(help="a tenth of the pictures, printed, not written")] = False) -> None:
    """Measure emoji-sd as its model card reports it and write the card."""
    from scapre.training.card import measure, write_card

    tables = measure(quick=quick)
    for name, table in tables.items():
        typer.echo(f"\n{name}\n{table.to_string(index=False)}")
    if not quick:
        typer.echo(write_card(tables))
