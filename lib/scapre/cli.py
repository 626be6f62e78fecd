"""Commands: rebuild the data, train the model, measure it, run the notebooks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

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
        str, typer.Option(help="default, or PROFILE of the files notebooks/profiles/NN_slug.PROFILE.yaml")
    ] = "default",
    jobs: Annotated[int, typer.Option(min=1, help="notebooks side by side; they share the cores")] = 1,
    update: Annotated[bool, typer.Option(help="store the executed copies as the committed notebooks")] = False,
    cell_timeout: Annotated[
        int | None, typer.Option(min=1, help="seconds a cell may take; default 900, in a profile a day")
    ] = None,
) -> None:
    """Run notebooks headlessly and write their figures and tables.

    Example: scapre run --profile full --jobs 2
    """
    from scapre.pool import JobError
    from scapre.runner import NotebookError, find, notebooks, run_many

    failed = False
    try:
        paths = [find(n) for n in names] if names else notebooks()
        for outcome in run_many(paths, jobs=jobs, profile=profile, update=update, timeout=cell_timeout):
            typer.echo(outcome.error or f"{outcome.name} {outcome.seconds:.0f} s", err=bool(outcome.error))
            failed |= bool(outcome.error)
    except (NotebookError, JobError) as error:
        typer.echo(error, err=True)
        failed = True
    sys.exit(int(failed))
