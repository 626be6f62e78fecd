"""Prompt lists as the field writes them: every header is read unchanged."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

#: our column → the names the field gives it, first found first used
ALIASES = {
    "case_number": ("case_number", "id"),
    "prompt": ("prompt", "text"),
    "evaluation_seed": ("evaluation_seed", "sd_seed", "seed"),
    "class": ("class", "artist", "concept"),
    "evaluation_guidance": ("evaluation_guidance", "sd_guidance_scale"),
}


class PromptError(ValueError):
    """A prompt file cannot be used; the message names the row and the remedy."""


def read_prompts(path: str | Path) -> pd.DataFrame:
    """Read a prompt file.

    Known headers: ``case_number,prompt,evaluation_seed`` with ``class``, ``artist`` or ``concept``
    (UCE, ESD, ScaPre), ``sd_seed`` and ``sd_guidance_scale`` (I2P), ``id,type,text,concept,seed``
    (SPEED). A file whose first line names neither ``prompt`` nor ``text`` is a list of one prompt a line.

    Returns:
        columns ``case_number, prompt, evaluation_seed, class, evaluation_guidance``. Without numbers
        rows are counted from 0, without seeds the case number is the seed; ``class`` is empty and
        ``evaluation_guidance`` NaN where the file says nothing.

    Raises:
        PromptError: no such file, no rows, an empty prompt, a number that is none, or case numbers
            that repeat (each names its picture).
    """
    path = Path(path)
    if not path.is_file():
        raise PromptError(f"there is no prompt file {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        header = [cell.strip() for cell in next(csv.reader(lines[:1]), [])]
        if set(ALIASES["prompt"]) & set(header):
            raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
        else:
            raw = pd.DataFrame({"prompt": [_unquoted(line) for line in lines if line.strip()]})
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise PromptError(f"{path.name} is no UTF-8 CSV file ({error})") from error
    raw.columns = raw.columns.str.strip()
    if raw.empty:
        raise PromptError(f"{path.name} holds no prompts")
    found = {ours: next((raw[name] for name in names if name in raw), None) for ours, names in ALIASES.items()}
    rows = pd.Series(range(len(raw)))
    cases = rows if found["case_number"] is None else _numbers(found["case_number"], path).astype("int64")
    seeds = found["evaluation_seed"]
    guidance = found["evaluation_guidance"]
    table = pd.DataFrame(
        {
            "case_number": cases,
            "prompt": found["prompt"],
            "evaluation_seed": cases if seeds is None else _numbers(seeds, path).astype("int64"),
            "class": "" if found["class"] is None else found["class"],
            "evaluation_guidance": float("nan") if guidance is None else _numbers(guidance, path),
        }
    )
    empty = table.index[table["prompt"].str.strip() == ""]
    if len(empty):
        raise PromptError(f"{path.name}: row {empty[0] + 1} has no prompt; fill or remove it")
    repeated = table["case_number"][table["case_number"].duplicated()]
    if len(repeated):
        raise PromptError(f"{path.name}: case number {repeated.iloc[0]} repeats, but it names a picture; number anew")
    return table


def _unquoted(line: str) -> str:
    """A line that is one quoted cell loses its quotes; every other line is the prompt, commas and all."""
    cells = next(csv.reader([line.strip()]))
    return cells[0] if len(cells) == 1 else line.strip()


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    """Read a column of numbers; whole ones unless the column is a guidance scale."""
    values = pd.to_numeric(column, errors="coerce")
    whole = column.name not in ALIASES["evaluation_guidance"]
    wrong = values.isna() | (whole & (values % 1 != 0))
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        kind = "whole number" if whole else "number"
        raise PromptError(f"{path.name}: row {row + 1} has no {kind} in column {column.name} ({column[row]!r})")
    return values
