"""The kind of error that is the caller's to mend; the command line says it in one sentence."""

from __future__ import annotations


class Mistake(Exception):
    """Something cannot be done as asked; the message names it and the remedy. Other errors are our own defects."""
