"""Make a Stable Diffusion model forget concepts, share the edit, draw and judge pictures, rebuild the workbook."""

from __future__ import annotations

import typer

from scapre.cli import check, edit, erase, model, pictures, protocol, share, stress, trace, workbook
from scapre.cli.commands import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (erase, edit, check, stress, share, pictures, protocol, workbook, trace, model):
    app.add_typer(part.commands)
