"""Commands that say where numbers and figures come from."""

from __future__ import annotations

from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def claims(
    names: Annotated[list[str] | None, typer.Argument(help="beginnings of names; none: all claims")] = None,
    update: Annotated[
        bool, typer.Option(help="rewrite the numbers of the prose that the tables have otherwise")
    ] = False,
) -> None:
    """List numbers and statements of README, card and notebooks beside the tables; fail where they disagree.

    \b
    Examples:
      scapre claims 10 11.staged
      scapre claims --update
    """
    from scapre.workbook.claims import ClaimError, Register
    from scapre.workbook.prose import documents, examine, update_prose
    from scapre.workbook.unmarked import unmarked

    register = Register()
    if update:
        for path in update_prose(register):
            typer.echo(f"rewrote {path.name}")
    texts = documents()
    verdicts = [verdict for text in texts for verdict in examine(text, register)]
    for name, (table, _) in register.expressions.items():
        if names and not name.startswith(tuple(names)):
            continue
        try:
            value = register.value(name)
            said = str(value).lower() if isinstance(value, bool) else ", ".join(f"{number:.4g}" for number in value)
        except ClaimError as error:
            said = str(error)
        places = sorted({v.place for v in verdicts if name in v.names}) or ["quoted nowhere"]
        good = not any(v.fault for v in verdicts if name in v.names)
        typer.echo(f"{'ok' if good else 'NO'}  {name} = {said}  [{table}]  {'; '.join(places)}")
    quoted = {name for verdict in verdicts for name in verdict.names}
    faults = [f"{v.place}: {' '.join(v.names)} {v.written!r}: {v.fault}" for v in verdicts if v.fault]
    faults += [complaint for text in texts for complaint in unmarked(text)]
    faults += [f"{name} is quoted nowhere" for name in register.expressions if name not in quoted]
    for fault in faults:
        typer.echo(fault, err=True)
    typer.echo(f"{len(register.expressions)} claims at {len(verdicts)} places, {len(faults)} faults")
    if faults:
        raise typer.Exit(1)


@commands.command()
def status(
    names: Annotated[list[str] | None, typer.Argument(help="numbers or names of notebooks; none: all")] = None,
) -> None:
    """Say which notebooks are out of date, and what changed since they ran; nothing is run.

    \b
    Example:
      scapre status
    """
    from scapre.workbook.runner import find, notebooks
    from scapre.workbook.stale import measured_otherwise, out_of_date

    asked = [find(name) for name in names] if names else notebooks()
    late = out_of_date(notebooks())
    for path in asked:
        said = "; ".join(map(str, late.get(path, []))) or "up to date"
        typer.echo(f"{path.stem}: {said}")
        if otherwise := measured_otherwise(path):
            typer.echo(
                f"  its tables were measured with other {', '.join(otherwise)}; run {path.stem[:2]} --profile full"
            )
    typer.echo(f"{len(late.keys() & set(asked))} of {len(asked)} out of date; scapre run runs them")


@commands.command()
def why(
    name: Annotated[str, typer.Argument(help="a figure, a table or a notebook: curves, 10_scaling_curves/curves, 10")],
) -> None:
    """Tell what a figure or table was made from and what of it has changed, back to the first table.

    \b
    Examples:
      scapre why 10_scaling_curves/curves
      scapre why 20
    """
    from scapre.workbook.runner import notebooks
    from scapre.workbook.stale import chain, owner

    books = notebooks()
    for line in chain(*owner(name, books), books):
        typer.echo(line)


@commands.command()
def verify() -> None:
    """Check without running that notebooks, tables and figures belong together; part of make test.

    \b
    Example:
      scapre verify
    """
    from scapre.workbook.manifest import manifest_path
    from scapre.workbook.runner import notebooks
    from scapre.workbook.stale import verify as check

    books = notebooks()
    kept = [path for path in books if manifest_path(path.stem).is_file()]
    faults = check(books)
    for fault in faults:
        typer.echo(fault, err=True)
    typer.echo(f"{len(kept)} of {len(books)} notebooks have a manifest, {len(faults)} faults")
    if faults:
        raise typer.Exit(1)
