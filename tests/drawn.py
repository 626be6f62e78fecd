"""The figures whose names could meet, drawn from the published tables as the notebooks draw them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure
from scapre.paths import data_folder
from scapre.workbook.comparisons import frontiers, panels
from scapre.workbook.figures import bars, lines
from scapre.workbook.look import arm
from scapre.workbook.verdicts import intervals

PEERS = ["staged", "confined", "uce", "rece", "speed"]
LONG = "A message longer than messages should be, with 12 % of one thing and 34 of another, so that it takes two lines"


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(data_folder() / "results" / f"{name}.csv")


def counts_at_once() -> Figure:
    table = read("10_scaling_curves/shares")
    corner = table.assign(unlearn=table["targets"], preserve=table[["named", "bystanders"]].min(axis=1))
    corner = corner[corner["n"].isin([10, 50, 100, 200])]
    return frontiers(corner, panel="n", coloured=PEERS, title=LONG, box=(15, 80))


def styles() -> Figure:
    table = read("12_styles/summary").pivot(index=["method", "point", "n"], columns="measure", values="mean")
    each = table.reset_index().assign(unlearn=table["unlearn_style"].to_numpy())
    each["preserve"] = table[["preserve_style", "unlearn", "preserve"]].min(axis=1).to_numpy()
    each = each[~each["point"].isin(["another style", "its word alone", "nothing else named"])]
    coloured = ["staged", "confined", "uce", "rece", "oce"]
    return frontiers(each, panel="n", coloured=coloured, title=LONG, heads="styles erased: {}")


def trained() -> Figure:
    table = read("08_trained_erasers/summary").query("method != 'unedited' and n > 1")
    table["preserve"] = table[["preserve", "bystander"]].min(axis=1)
    coloured = ["staged", "confined", "speed", "concept-ablation", "mace"]
    return frontiers(table, panel="n", coloured=coloured, title=LONG, box=(15, 80))


def curves() -> Figure:
    table = read("10_scaling_curves/summary")
    labels = {"unlearn": "targets recognised (%)", "preserve": "named to keep: right (%)"}
    labels |= {"bystander": "bystanders: right (%)", "clip": "CLIP score of what stays"}
    coloured = ["staged", "confined", "rece, validated, vocabulary kept", "uce, validated", "speed, validated"]
    named = pd.Series(map(arm, table["method"], table["point"]), table.index).isin(coloured)
    return panels(table[(table["point"] == "published") | named], labels, coloured=coloured, title=LONG)


def reach() -> Figure:
    best = read("10_scaling_curves/claim").query("threshold == '15 / 80' and orders > 1").drop_duplicates("method")
    best["who"] = [arm(m, p) for m, p in zip(best["method"], best["point"], strict=True)]
    look = {"coloured": best["who"].tolist()[:5], "title": LONG, "xlabel": "largest acceptable $n$"}
    return intervals(best, name="who", value="largest n", **look)


def ends_apart() -> Figure:
    table = read("03_spectral_regularisation/spectra")
    return lines(table, x="direction", y="value", hue="n", xlabel="direction", log="xy", title=LONG)


def lines_on_one_another() -> Figure:
    table = read("03_spectral_regularisation/strengths")
    return lines(table, x="retained_drift", y="residual", hue="terms", xlabel="drift", title=LONG)


def places() -> Figure:
    tidy = read("02_conflict_analysis/places").melt(["n", "place"], ["held", "kept met"], "measure", "percent")
    return lines(tidy, x="n", y="percent", hue="place", panel="measure", xlabel="$n$", ylabel="", title=LONG)


def room() -> Figure:
    tidy = read("07_peers/speed").melt(["speed", "kept"], ["free", "residual"], "what", "share")
    return lines(tidy, x="kept", y="share", hue="speed", panel="what", xlabel="kept concepts", title=LONG)


def damping() -> Figure:
    tidy = read("07_peers/dp").melt(["damping", "kept"], ["drift", "residual"], "what", "value")
    tidy["damping"] = "damping " + tidy["damping"].astype(str)
    return lines(tidy, x="kept", y="value", hue="damping", panel="what", xlabel="kept", log="y", title=LONG)


def collapse() -> Figure:
    table = read("31_does_emoji_sd_predict/collapse")
    return lines(table, x="n", y="preserve", hue="uce", xlabel="$n$", log="x", title=LONG)


def beside() -> Figure:
    table = read("31_does_emoji_sd_predict/beside").query("measure != 'clip'")
    table["row"] = table["table"] + " (" + table["measure"] + "): " + table["method"]
    return bars(table, y="row", values={"printed": "printed", "here": "measured here"}, title=LONG)


def ceiling() -> Figure:
    table = read("05_decoupler_selection/ceiling")
    return lines(table, x="sigma", y="percent", hue="quantity", xlabel="σ", log="x", title=LONG)


DRAWN: list[Callable[[], Figure]] = [
    counts_at_once,
    styles,
    trained,
    curves,
    reach,
    ends_apart,
    lines_on_one_another,
    places,
    room,
    damping,
    collapse,
    beside,
    ceiling,
]
