"""Commands: rebuild the data, train the model, measure it, run the notebooks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
import yaml

from scapre.paths import repository

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command("build-data")
def build_data() -> None:
    """Draw data/emoji/emoji.parquet anew from the pinned npm packages (needs npm)."""
    from scapre.emoji import build_emoji

    typer.echo(build_emoji())


@app.command()
def train(
    part: Annotated[str, typer.Argument(help="autoencoder, text, decoder, judge, denoiser, or all")],
    steps: Annotated[int | None, typer.Option(help="shorter or longer than the recipe")] = None,
) -> None:
    """Train a part of emoji-sd; interrupted runs resume. `all` also assembles the pipeline."""
    from scapre.training import recipe

    for each in recipe.PARTS if part == "all" else (part,):
        recipe.train_part(each, steps)
    if part == "all":
        typer.echo(recipe.assemble())


@app.command()
def assemble() -> None:
    """Write data/models/ from the trained parts."""
    from scapre.training import recipe

    typer.echo(recipe.assemble())


@app.command()
def card(quick: Annotated[bool, typer.Option(help="a tenth of the pictures, printed, not written")] = False) -> None:
    """Measure emoji-sd as its model card reports it and write the card."""
    from scapre.training.card import measure, write_card

    tables = measure(quick=quick)
    for name, table in tables.items():
        typer.echo(f"\n{name}\n{table.to_string(index=False)}")
    if not quick:
        typer.echo(write_card(tables))


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="sd1, sdxl or tiny")] = "sd1",
    method: Annotated[str, typer.Option(help="a name of scapre.methods()")] = "scapre",
    counts: Annotated[list[int] | None, typer.Option("--n", help="targets; may be repeated")] = None,
) -> None:
    """Time an edit at a real model's shapes; writes data/results/bench/ and figures/bench/MODEL_METHOD."""
    import matplotlib.pyplot as plt

    from scapre import figures
    from scapre.bench import COUNTS, benchmark

    table = benchmark(model, method, counts or COUNTS)
    path = repository() / "data" / "results" / "bench" / f"{model}_{method}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.3f")
    figures.theme()
    tidy = table.melt("n", ["total", "floor", "naive"], "what", "seconds")
    axes = figures.lines(tidy, x="n", y="seconds", hue="what", xlabel="targets $n$", log=True)
    axes.set(yscale="log", title=f"{method} at the shapes of {model}")
    picture = repository() / "figures" / "bench" / f"{path.stem}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    plt.savefig(picture, metadata={"Software": None}, bbox_inches="tight")
    typer.echo(table.to_string(index=False, float_format="%.2f"))


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="numbers or names; none: all notebooks")] = None,
    profile: Annotated[
        str, typer.Option(help="default, or a file notebooks/profiles/NN_slug.PROFILE.yaml")
    ] = "default",
    update: Annotated[bool, typer.Option(help="store the executed copies as the committed notebooks")] = False,
) -> None:
    """Run notebooks headlessly and write their figures and tables."""
    from scapre.runner import NotebookError, find, notebooks, run_notebook, scrub

    try:
        for path in [find(n) for n in names] if names else notebooks():
            chosen = repository() / "notebooks" / "profiles" / f"{path.stem}.{profile}.yaml"
            values = yaml.safe_load(chosen.read_text()) if chosen.is_file() else {}
            typer.echo(f"{path.stem} …", nl=False)
            output = repository() / "data" / "cache" / "executed" / path.name
            seconds = run_notebook(path, output, values)
            if update:
                scrub(output)
                output.replace(path)
            typer.echo(f" {seconds:.0f} s")
    except NotebookError as error:
        typer.echo(f"\n{error}", err=True)
        sys.exit(1)
