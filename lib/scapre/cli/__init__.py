"""Make a Stable Diffusion model forget concepts, share the edit, draw and judge pictures, rebuild the workbook."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from scapre.cli import edit, model, pictures, share, workbook
from scapre.mistakes import Mistake

#: mistakes of the caller; anything else is ours and keeps its traceback
MISTAKES = (ValueError, OSError, Mistake)


class Commands(TyperGroup):
    """Commands that answer a mistake with one sentence and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MISTAKES as error:
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (edit, share, pictures, workbook, model):
    app.add_typer(part.commands)
