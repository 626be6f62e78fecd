"""What was found, in a table with intervals, a figure, and a paragraph."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scapre.experiments.check import UNLEARN
from scapre.experiments.stress.probes import BESIDE, PLAIN, RELEARNING
from scapre.experiments.stress.stage import EDITED, NEVER, UNEDITED
from scapre.pictures.metrics import proportion
from scapre.workbook.look import BAD, GOOD, INK, SOFT, WIDTH, theme

COLOURS = {EDITED: BAD, UNEDITED: SOFT, NEVER: GOOD}


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Rates after every number of steps.

    Returns:
        one row a probe, model and number of steps: ``probe, model, steps, targets, found`` (targets with a hit),
        ``tries, hits, rate, low, high`` (percent; 95 % Wilson intervals over pictures).
    """
    told = rows[rows["note"] == ""]
    found = []
    for (probe, model, steps), part in told.groupby(["probe", "model", "steps"], sort=False):
        met = part.groupby("target")["hit"].any()
        counts = (len(met), int(met.sum()), len(part), int(part["hit"].sum()))
        found.append((probe, model, steps, *counts, *proportion(part["hit"].sum(), len(part))))
    columns = ["probe", "model", "steps", "targets", "found", "tries", "hits", "rate", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a probe and model: as ``curves``, over all tries of a probe; of relearning after its last check.

    ``note`` says why a probe could not apply.
    """
    last = rows.groupby(["probe", "model", "target"])["steps"].transform("max")
    done = rows[~rows["probe"].str.startswith(RELEARNING) | (rows["steps"] == last)]
    table = curves(done.assign(steps=last.loc[done.index]))
    blank = rows[rows["note"] != ""].drop_duplicates(["probe", "model"])[["probe", "model", "note"]]
    blank = blank[~blank.set_index(["probe", "model"]).index.isin(table.set_index(["probe", "model"]).index)]
    return pd.concat([table.assign(note=""), blank], ignore_index=True)


def steps_back(rows: pd.DataFrame) -> pd.DataFrame:
    """Steps of relearning after which a model draws the concept half as often as the unedited one does untrained.

    Returns:
        columns ``probe, model, steps``; NaN where no check was enough.
    """
    table = curves(rows[rows["probe"].str.startswith(RELEARNING)])
    half = _rate(curves(rows), PLAIN, UNEDITED)
    enough = table[table["rate"] >= (half or 0) / 2].groupby(["probe", "model"])["steps"].min()
    pairs = table[["probe", "model"]].drop_duplicates()
    return pairs.assign(
        steps=[float(enough.get(pair, float("nan"))) for pair in pairs.itertuples(index=False, name=None)]
    )


def verdict(rows: pd.DataFrame) -> str:
    """Say in a paragraph whether the concept is gone, avoided, or back after some steps.

    A probe counts where its interval lies above that of the control: the model that never saw the concept, and
    without it plain sampling of the edited model with the same number of tries.
    """
    table, back = summary(rows), steps_back(rows)
    never = bool((rows["model"] == NEVER).any())
    told = [f"By its name the edited model draws the concept in {_told(table, PLAIN, EDITED)} (unedited: "]
    told[0] += f"{_told(table, PLAIN, UNEDITED)}{', never saw it: ' + _told(table, PLAIN, NEVER) if never else ''})."
    asked = [p for p in table["probe"].unique() if p not in (PLAIN, *BESIDE) and not p.startswith(RELEARNING)]
    above = [p for p in asked if _above(table, p, never)]
    if above:
        told.append(
            "Without training it comes back by " + ", ".join(f"{p} ({_told(table, p, EDITED)})" for p in above) + "."
        )
    quick = _relearnt(back, never)
    if quick:
        told.append("Training brings it back: " + "; ".join(quick) + ".")
    kept = [
        f"{p} {_told(table, p, EDITED)} (unedited {_told(table, p, UNEDITED)})"
        for p in BESIDE
        if p in set(table["probe"])
    ]
    if kept:
        told.append(f"Beside it in a prompt stays: {', '.join(kept)}.")
    if not never:
        told.append(
            "No model that never saw these concepts is at hand, so what an attack draws by itself is not known."
        )
    return f"{_word(table, above, quick, never)} {' '.join(told)}"


def _word(table: pd.DataFrame, above: list[str], quick: list[str], never: bool) -> str:
    if (_rate(table, PLAIN, EDITED) or 0.0) > UNLEARN:
        return "Not forgotten."
    if above:
        return "Avoided, not gone."
    if quick:
        return "Hidden from prompts, back with training."
    return "Gone, as far as these probes see." if never else "Not found by these probes."


def _above(table: pd.DataFrame, probe: str, never: bool) -> bool:
    here = _row(table, probe, EDITED)
    control = _row(table, probe, NEVER) if never else _row(table, PLAIN, EDITED)
    return here is not None and control is not None and bool(here["low"] > control["high"])


def _relearnt(back: pd.DataFrame, never: bool) -> list[str]:
    """Ways of training that bring the concept back sooner than in the control."""
    wide = back.pivot(index="probe", columns="model", values="steps") if len(back) else pd.DataFrame()
    found = []
    for probe, row in wide.iterrows():
        control = row.get(NEVER, float("nan"))
        if pd.notna(row.get(EDITED)) and not (never and control <= row[EDITED]):
            other = "" if not never else f" (never saw it: {f'{control:.0f}' if pd.notna(control) else 'not at all'})"
            found.append(f"{probe} after {row[EDITED]:.0f} steps{other}")
    return found


def _row(table: pd.DataFrame, probe: str, model: str) -> pd.Series | None:
    part = table[(table["probe"] == probe) & (table["model"] == model) & table["rate"].notna()]
    return part.iloc[0] if len(part) else None


def _rate(table: pd.DataFrame, probe: str, model: str) -> float | None:
    row = _row(table, probe, model)
    return None if row is None else float(row["rate"])


def _told(table: pd.DataFrame, probe: str, model: str) -> str:
    row = _row(table, probe, model)
    return "–" if row is None else f"{row['rate']:.0f} % [{row['low']:.0f}, {row['high']:.0f}]"


def figure(rows: pd.DataFrame) -> Figure:
    """Draw the rate of every probe beside its controls, and the curves of relearning."""
    theme()
    table, lines = summary(rows), curves(rows[rows["probe"].str.startswith(RELEARNING)])
    order = [p for p in dict.fromkeys(table["probe"]) if not p.startswith(RELEARNING)]
    fig, axes = plt.subplots(
        1, 2 if len(lines) else 1, figsize=(WIDTH, 0.28 * len(order) + 1.6), squeeze=False, layout="constrained"
    )
    ax: Axes = axes[0, 0]
    for shift, (model, colour) in zip((-0.2, 0.0, 0.2), COLOURS.items(), strict=True):
        part = table[(table["model"] == model) & table["rate"].notna() & table["probe"].isin(order)]
        if len(part):
            reach = [part["rate"] - part["low"], part["high"] - part["rate"]]
            places = [order.index(p) + shift for p in part["probe"]]
            ax.errorbar(part["rate"], places, xerr=reach, fmt="o", ms=3.5, lw=1.2, color=colour, label=model)
    ax.set(yticks=range(len(order)), yticklabels=order, xlim=(-3, 103), xlabel="drawn as wanted, percent")
    ax.invert_yaxis()
    ax.legend(frameon=False, loc="lower right")
    if len(lines):
        other: Axes = axes[0, 1]
        for (way, whose), line in lines.groupby(["probe", "model"], sort=False):
            style = "-" if str(way).startswith("relearn") else ":"
            other.plot(line["steps"], line["rate"], style, color=COLOURS.get(str(whose), INK), marker="o", ms=3, lw=1.3)
        other.set(ylim=(-3, 103), xlabel="steps of training (dotted: unrelated pictures)", ylabel="recognised, percent")
    return fig
