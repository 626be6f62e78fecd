"""Prompt lists as the field writes them: every header is read unchanged."""

from __future__ import annotations

import json
import logging
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

from scapre.concepts.names import visible
from scapre.concepts.tables import Columns, TableError, read_table

log = logging.getLogger(__name__)

#: our column → the names the field gives it, first found first used
ALIASES = {
    "case_number": (
        *("case_number", "case_num", "case_no", "case_id", "case", "image_id", "img_id", "prompt_id", "id"),
        *("index", "idx", "number", "no", "nr", "row", "", "unnamed:_0", "#"),  # what tables write their index under
    ),
    "prompt": ("prompt", "prompts", "text", "caption", "captions", "sentence"),
    "evaluation_seed": ("evaluation_seed", "eval_seed", "sd_seed", "seed", "seeds"),
    "class": ("class", "classes", "class_name", "artist", "artists", "concept", "concepts", "label", "object"),
    "evaluation_guidance": ("evaluation_guidance", "sd_guidance_scale", "guidance_scale", "guidance", "cfg_scale"),
}
NUMBERS = ("case_number", "evaluation_seed", "evaluation_guidance")
COLUMNS = Columns(ALIASES, wanted="prompt", numbers=NUMBERS)
#: what stands for "no number"
NOTHING = ("", "nan", "none", "null", "na", "n/a", "<na>")
DIGITS = 30  # a number has fewer; more would be slow to make whole
LARGEST_CASE, LARGEST_SEED = 2**63 - 1, 2**64 - 1  # of a column of whole numbers, of torch's generators


class PromptError(ValueError):
    """A prompt file cannot be used; the message names the row and the remedy."""


#: how lists of the field say which concepts are erased
ERASED = ("erase", "erased", "target", "targets", "unlearn", "forget")
SIDED = Columns(ALIASES | {"side": ("type", "side", "role", "set", "split")}, wanted="prompt", numbers=NUMBERS)


def read_sided(path: str | Path) -> pd.DataFrame:
    """Read a prompt file that says of every concept whether it is erased, as SPEED's ``id,type,text,concept,seed``.

    Returns:
        the columns of ``read_prompts``, numbered by row, and ``erased``.

    Raises:
        PromptError: see ``read_prompts``; or a row without a concept, or nothing that is erased or kept.
    """
    raw = _read(Path(path), SIDED)
    table = _numbered(raw, Path(path).name, by_row=True)
    if "side" not in raw or (table["class"] == "").any():
        raise PromptError(f"{Path(path).name} needs a concept in every row and a column type: erase or retain")
    said = raw["side"].iloc[table["case_number"]].str.strip().str.lower()
    table["erased"] = said.isin(ERASED).to_numpy()
    if table["erased"].all() or not table["erased"].any():
        raise PromptError(f"{Path(path).name}: its column type must say erase in some rows and retain in others")
    return table


def read_captions(path: str | Path) -> pd.DataFrame:
    """Read captions: COCO's own JSON (``annotations`` of ``image_id, caption``), or any table of ``read_prompts``.

    Returns:
        the columns of ``read_prompts`` without classes, one caption a picture: of COCO's the first, in the order of
        ``image_id``, which is the case and the seed.

    Raises:
        PromptError: see ``read_prompts``; or annotations without captions.
    """
    path = Path(path)
    if path.suffix.lower() != ".json" or not path.is_file():
        return read_prompts(path).assign(**{"class": ""})
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{path.name} is no intact JSON ({error}); fetch it again") from error
    if not isinstance(found, dict) or "annotations" not in found:
        return read_prompts(path).assign(**{"class": ""})
    try:
        rows = [(int(row["image_id"]), str(row["caption"]).strip()) for row in found["annotations"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PromptError(f"{path.name} holds annotations but no captions; give captions_val2014.json") from error
    first: dict[int, str] = {}
    for image, caption in rows:
        first.setdefault(image, caption)
    if not first:
        raise PromptError(f"{path.name} holds no captions")
    cases = sorted(first)
    told = {"case_number": cases, "prompt": [first[case] for case in cases], "evaluation_seed": cases}
    return pd.DataFrame(told | {"class": "", "evaluation_guidance": float("nan")})


def read_prompts(path: str | Path, *, by_row: bool = False) -> pd.DataFrame:
    """Read a prompt file.

    Known headers, in any case: ``case_number,prompt,evaluation_seed`` with ``class``, ``artist`` or ``concept``
    (UCE, ESD, ScaPre), ``sd_seed`` and ``sd_guidance_scale`` (I2P), ``id,type,text,concept,seed`` (SPEED), an
    index column, and the others of ``ALIASES``; as CSV, tabs, JSON lines or parquet (``tables.read_table``).
    A file without a header is a list of one prompt a line. Rows without a prompt are passed over, and the others
    keep their numbers; the log says so.

    Args:
        path: the file.
        by_row: number by row, whatever the file says: for lists in which several prompts share a case.

    Returns:
        columns ``case_number, prompt, evaluation_seed, class, evaluation_guidance``. Without numbers
        rows are counted from 0, without a seed the case number is the seed; ``class`` is empty and
        ``evaluation_guidance`` NaN where the file says nothing.

    Raises:
        PromptError: no such file, no prompts, a header without a prompt, a number that is none or out of
            range, or case numbers that repeat (each names its picture).
    """
    return _numbered(_read(Path(path), COLUMNS), Path(path).name, by_row)


def _read(path: Path, columns: Columns) -> pd.DataFrame:
    if not path.exists():
        raise PromptError(f"there is no prompt file {path}")
    try:
        return read_table(path, columns)
    except TableError as error:
        raise PromptError(f"{path.name}: {error}") from error


def _numbered(raw: pd.DataFrame, file: str, by_row: bool) -> pd.DataFrame:
    """Check numbers, fill seeds in, leave rows without a prompt out."""
    # a missing prompt is written so by pandas; other words for nothing may be meant
    stays = raw["prompt"].map(lambda text: visible(text) and text.strip() not in ("nan", "NaN"))
    if not stays.any():
        raise PromptError(f"{file} holds no prompts")
    rows = pd.Series(raw.index, index=raw.index)
    cases = rows if by_row or "case_number" not in raw else _whole(raw["case_number"], stays, file, LARGEST_CASE)
    if (unnumbered := cases.isna() & stays).any():
        row = int(unnumbered.to_numpy().argmax())
        raise PromptError(f"{file}: row {row + 1} has no case number; fill it in, or number by row (--by-row)")
    seeds = cases.copy()
    if "evaluation_seed" in raw:
        given = _whole(raw["evaluation_seed"], stays, file, LARGEST_SEED)
        seeds = given.where(given.notna(), cases)
        _count(given.isna() & stays, given[stays], file, "without a seed, which is their case number")
    scales = pd.Series(float("nan"), index=raw.index)
    if "evaluation_guidance" in raw:
        scales = _numbers(raw["evaluation_guidance"], stays, file).astype("float64")
        _count(scales.isna() & stays, scales[stays], file, "without a guidance scale of their own")
    if not stays.all():
        _count(~stays, None, file, "without a prompt, passed over")
    table = pd.DataFrame(
        {
            "case_number": cases,
            "prompt": raw["prompt"],
            "evaluation_seed": seeds,
            "class": raw.get("class", ""),
            "evaluation_guidance": scales,
        }
    )[stays].reset_index(drop=True)
    repeated = table["case_number"][table["case_number"].duplicated()]
    if len(repeated):
        raise PromptError(
            f"{file}: case number {repeated.iloc[0]} repeats, but it names a picture; number anew, or by row (--by-row)"
        )
    large = table["evaluation_seed"].max() > LARGEST_CASE
    return table.astype({"case_number": "int64", "evaluation_seed": "uint64" if large else "int64"})


def _count(where: pd.Series, column: pd.Series | None, file: str, what: str) -> None:
    """Log how many rows are passed over; a column that is empty throughout is no surprise."""
    count = int(where.sum())
    if count and (column is None or column.notna().any()):
        log.warning("%s: %d row%s %s", file, count, "" if count == 1 else "s", what)


def _numbers(column: pd.Series, stays: pd.Series, file: str) -> pd.Series:
    """Read finite numbers exactly; None where the cell says nothing.

    Raises:
        PromptError: another text.
    """
    found: list[Decimal | None] = []
    for row, (text, used) in enumerate(zip(column.str.strip(), stays, strict=True)):
        try:
            value = None if not used or text.lower() in NOTHING else Decimal(text)
            if value is not None and not (value.is_finite() and abs(value.adjusted()) < DIGITS):
                raise InvalidOperation
        except InvalidOperation:
            raise PromptError(f"{file}: row {row + 1} has no number in column {column.name} ({text!r})") from None
        found.append(value)
    return pd.Series(found, index=column.index, dtype=object)


def _whole(column: pd.Series, stays: pd.Series, file: str, largest: int) -> pd.Series:
    """Read whole numbers from 0 to ``largest``; None where the cell says nothing.

    Raises:
        PromptError: another number or text.
    """
    values = _numbers(column, stays, file)
    for row, value in enumerate(values):
        if value is not None and not (value == value.to_integral_value() and 0 <= value <= largest):
            raise PromptError(
                f"{file}: row {row + 1} has no whole number from 0 to {largest} in column {column.name} ({value})"
            )
    return values.map(lambda value: None if value is None else int(value)).astype(object)
