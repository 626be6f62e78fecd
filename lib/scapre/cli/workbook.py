"""Commands that run notebooks and benchmarks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from scapre.files import claim, write_text
from scapre.paths import data_folder, repository

commands = typer.Typer()


@commands.command()
def bench(
    model: Annotated[str, typer.Option(help="sd1, sd2, sdxl, pixart-sigma, flux, … (see scapre families)")] = "sd1",
    method: Annotated[
        str | None, typer.Option(help="a name of scapre.methods(), or all: side by side; default: the model's")
    ] = None,
    counts: Annotated[list[int] | None, typer.Option("--n", min=1, help="targets; may be repeated")] = None,
    text: Annotated[
        bool, typer.Option("--text", help="the whole way, import to patch, text encoder included, stage by stage")
    ] = False,
    kept: Annotated[int, typer.Option(min=1, help="concepts to keep, with --text")] = 500,
) -> None:
    """Time an edit at a real model's shapes; writes data/results/bench/ and figures/bench/MODEL_METHOD.

    \b
    Example:
      scapre bench --model sdxl --n 10 --n 100
      scapre bench --method all --n 50
      scapre bench --text --n 50 --kept 500
    """
    from scapre.methods.registry import ALONE, DEFAULT, SOLVERS, find_method
    from scapre.model.shapes import is_transformer, readings_of

    readings_of(model)
    method = method or (ALONE if is_transformer(model) else DEFAULT)
    chosen = list(SOLVERS) if method == "all" else [method]
    find_method(chosen[0])
    if text:
        _bench_text(model, chosen, method, counts or [50], kept)
        return
    path = repository() / "data" / "results" / "bench" / f"{model}_{method}.csv"
    picture = repository() / "figures" / "bench" / f"{path.stem}.png"
    claim(path, picture)
    import pandas as pd

    from scapre.editing.bench import COUNTS, benchmark
    from scapre.workbook.look import theme, write_figure
    from scapre.workbook.verdicts import times

    table = pd.concat([benchmark(model, name, counts or COUNTS) for name in chosen], ignore_index=True)
    write_text(path, table.to_csv(index=False, float_format="%.3f"))
    theme()
    drawn = times(table, model, method)
    write_figure(drawn, picture)
    typer.echo(table.to_string(index=False, float_format="%.2f"))


def _bench_text(model: str, methods: list[str], name: str, counts: list[int], kept: int) -> None:
    path = repository() / "data" / "results" / "bench" / f"{model}_{name}_text.csv"
    claim(path)
    import pandas as pd

    from scapre.editing.whole_way import whole_way

    table = pd.concat([whole_way(model, method, n, kept) for method in methods for n in counts], ignore_index=True)
    write_text(path, table.to_csv(index=False, float_format="%.3f"))
    typer.echo(table.to_string(index=False, float_format="%.2f"))


@commands.command()
def families(
    n: Annotated[int, typer.Option(min=1, help="targets")] = 50,
    method: Annotated[str | None, typer.Option(help="a name of scapre.methods(); default: each family's own")] = None,
) -> None:
    """Time one edit at the shapes of every family; writes data/results/bench/families_METHOD.csv.

    \b
    Example:
      scapre families --n 50
    """
    from scapre.methods.registry import find_method

    if method is not None:
        find_method(method)
    path = repository() / "data" / "results" / "bench" / f"families_{method or 'default'}.csv"
    claim(path)
    from scapre.editing.bench import families as measure

    table = measure(n, method)
    write_text(path, table.to_csv(index=False, float_format="%.3f"))
    typer.echo(table.to_string(index=False, float_format="%.2f"))


@commands.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="numbers or names; none: those out of date")] = None,
    every: Annotated[bool, typer.Option("--all", help="all notebooks, whether out of date or not")] = False,
    profile: Annotated[
        str, typer.Option(help="default, or PROFILE of the files notebooks/profiles/NN_slug.PROFILE.yaml")
    ] = "default",
    jobs: Annotated[int, typer.Option(min=1, help="notebooks side by side; they share the cores")] = 1,
    update: Annotated[bool, typer.Option(help="store the executed copies as the committed notebooks")] = False,
    cell_timeout: Annotated[
        int | None, typer.Option(min=1, help="seconds a cell may take; default 900, in a profile a day")
    ] = None,
    start_timeout: Annotated[int, typer.Option(min=1, help="seconds a kernel may take to start")] = 60,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler that measures the cases of a full profile, or local")
    ] = None,
) -> None:
    """Run notebooks headlessly and write their figures, tables and manifests.

    Without names: those out of date (scapre status) and then those that read their tables; in another profile all.

    \b
    Examples:
      scapre run
      scapre run 00
      scapre run --all --profile full --jobs 2
    """
    from scapre.workbook.runner import find, notebooks, run_many, written
    from scapre.workbook.stale import changes, in_order, out_of_date

    if scheduler:
        os.environ["SCAPRE_SCHEDULER"] = scheduler  # read where a notebook's sweep starts
    failed = False
    late = not (names or every or profile != "default")
    paths = list(dict.fromkeys(find(name) for name in names)) if names else notebooks()
    paths = list(out_of_date(paths)) if late else paths
    claim(*(place for path in paths for place in written(path, update)))
    limits: dict[str, Any] = {"timeout": cell_timeout, "start_timeout": start_timeout}
    for wave in in_order(paths):
        wanted = [path for path in wave if not late or changes(path)]  # what it waited for may have come out the same
        for outcome in run_many(wanted, jobs=jobs, profile=profile, update=update, **limits) if wanted else ():
            typer.echo(outcome.error or f"{outcome.name} {outcome.seconds:.0f} s", err=bool(outcome.error))
            failed |= bool(outcome.error)
    if late and not paths:
        typer.echo("every notebook is up to date; scapre run --all runs them nevertheless")
    if failed:
        raise typer.Exit(1)


@commands.command()
def figures(
    jobs: Annotated[int, typer.Option(min=1, help="notebooks side by side; they share the cores")] = 1,
) -> None:
    """Run all notebooks at their defaults: every figure and table of the workbook anew."""
    run(None, True, "default", jobs, False, None)


@commands.command()
def site(
    out: Annotated[Path | None, typer.Option(help="folder; default: site/ in the repository")] = None,
) -> None:
    """Build a static site of the executed notebooks that works without a network.

    \b
    Example:
      scapre site --out public
    """
    claim((out or repository() / "site") / "index.html")
    from scapre.workbook.site import build_site

    typer.echo(build_site(out or repository() / "site")[0])


@commands.command()
def exercises(
    names: Annotated[list[str] | None, typer.Argument(help="numbers or names of notebooks; none: all")] = None,
    update: Annotated[bool, typer.Option(help="keep the tables as those that the answers are checked against")] = False,
) -> None:
    """Run notebooks as their exercises say, and hold the answers told in them against the tables that come out.

    \b
    Example:
      scapre exercises 04
    """
    if update:
        claim(data_folder() / "results" / "exercises" / "table.csv")
    from tempfile import TemporaryDirectory

    from scapre.workbook.exercises import chosen, run_exercise, wrong_answers

    failed = False
    with TemporaryDirectory() as folder:
        data = data_folder() if update else Path(folder)
        for exercise in chosen(names or []):
            said = ", ".join(f"{name} = {value!r}" for name, value in exercise.change.items())
            typer.echo(f"{exercise.notebook.stem} with {said} …")
            for table in run_exercise(exercise, data):
                typer.echo(f"{table.stem}\n{table.read_text(encoding='utf-8')}")
            faults = wrong_answers(exercise, data)
            typer.echo("\n".join(faults) or "the answers hold", err=bool(faults))
            failed |= bool(faults)
    if failed:
        raise typer.Exit(1)
