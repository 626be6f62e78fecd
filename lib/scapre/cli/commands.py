"""Where a mistake becomes a sentence and an exit status, and a note of the library a line."""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from scapre.files import reason
from scapre.mistakes import Mistake
from scapre.pool import JobError

NO_MEMORY = "out of memory; use a smaller --batch, --dtype float16 or bfloat16, fewer concepts, or another device"


def sentence(error: BaseException) -> str | None:
    """Say what a caller can mend in one line; None: the error is ours and keeps its traceback.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "x"))
    'x: No such file or directory'
    """
    if isinstance(error, JobError) and error.__cause__ is not None:
        return sentence(error.__cause__) or _line(error)  # a job's own sentence, not where it ran
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error):
        return NO_MEMORY
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {reason(error)}"
    return _line(error) if isinstance(error, (Mistake, ValueError, OSError)) else None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


class _Notes(logging.Handler):
    """Print what the library passed over on the error stream of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one note."""
        typer.echo(f"note: {' '.join(record.getMessage().split())}", err=True)


class Commands(TyperGroup):
    """Commands that answer a mistake with one sentence and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        log, notes = logging.getLogger("scapre"), _Notes()
        log.addHandler(notes)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that knows fewer letters gets their numbers
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly when a reader such as head is gone
        except Exception as error:
            said = sentence(error)
            if said is None:
                raise
            typer.echo(f"error: {said}", err=True)
            raise typer.Exit(1) from None
        finally:
            log.removeHandler(notes)
