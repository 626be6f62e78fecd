"""Widgets around an exploration: choose, wait a moment, look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO
from time import perf_counter
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from scapre.experiments.exploration import Choices, Exploration
from scapre.methods.registry import SOLVERS, find_method

SILENCE = 0.4  # seconds without a change before work starts
STALE = "scapre-stale"


class Explorer(widgets.VBox):
    """Controls for every choice, and the pictures and curves they lead to.

    Nothing is computed here: each state of the controls is a ``Choices``, handed on. While a
    result is out of date it is shown grey.

    Args:
        look: answers choices, best from memory (``exploration.remembering``).
        names: concepts to choose from.
        choices: where the controls stand at first.

    Attributes:
        controls: widgets by the name of the choice or setting they stand for.
        views: the two images, ``pictures`` and ``curves``.
        status: what is going on, or what is wrong with the choices.
    """

    def __init__(self, look: Callable[[Choices], Exploration], names: Sequence[str], choices: Choices) -> None:
        self._look, self._first = look, choices
        self._changed = debounced(self._show, SILENCE)
        wide = widgets.Layout(width="100%")
        tags = {"allowed_tags": list(names), "allow_duplicates": False, "layout": wide}
        closed = list(SOLVERS)  # what draws before it edits is too slow for a slider
        slider: dict[str, Any] = {"continuous_update": False, "readout_format": ".2f"}
        self._gate = {
            "noise_sigma": widgets.FloatLogSlider(1.0, min=-2, max=1, step=0.1, description="noise σ", **slider),
            "p": widgets.FloatSlider(1.0, min=0, max=8, step=0.5, description="power p", **slider),
            "erase_scale": widgets.FloatLogSlider(25.0, min=-1, max=3, step=0.1, description="push η", **slider),
            "ridge": widgets.FloatLogSlider(80.0, min=-1, max=4, step=0.1, description="pull λ", **slider),
        }
        self.controls: dict[str, Any] = {
            "targets": widgets.TagsInput(value=list(choices.targets), **tags),
            "kept": widgets.TagsInput(value=list(choices.kept), **tags),
            "keep_all": widgets.Checkbox(choices.keep_all, description="and every other concept", indent=False),
            "method": widgets.Dropdown(options=closed, value=choices.method, description="method"),
            "strength": widgets.FloatSlider(
                choices.strength, min=0, max=1, step=0.05, description="strength s", **slider
            ),
            **self._gate,
        }
        self.views = {name: widgets.Image(format="png", layout=wide) for name in ("pictures", "curves")}
        self.status = widgets.HTML()
        self._use_settings(dict(choices.settings))
        for control in self.controls.values():
            control.observe(self._touched, "value")
        labelled = [widgets.Label("forget"), self.controls["targets"], widgets.Label("keep"), self.controls["kept"]]
        left = widgets.VBox(
            [*labelled, *list(self.controls.values())[2:], self.status, self.views["curves"]],
            layout=widgets.Layout(width="42%"),
        )
        right = widgets.VBox([self.views["pictures"]], layout=widgets.Layout(width="56%"))
        grey = widgets.HTML(f"<style>.{STALE} {{ opacity: 0.35 }}</style>")
        super().__init__([grey, widgets.HBox([left, right])])
        self._show()

    @property
    def choices(self) -> Choices:
        """What the controls say."""
        value = {name: control.value for name, control in self.controls.items()}
        return Choices(
            targets=tuple(value["targets"]),
            kept=tuple(value["kept"]),
            keep_all=value["keep_all"],
            method=value["method"],
            strength=value["strength"],
            settings=tuple((name, value[name]) for name, control in self._gate.items() if not control.disabled),
            styles=self._first.styles,
            seed=self._first.seed,
        )

    def _use_settings(self, settings: dict[str, float]) -> None:
        """Set the gate's sliders to a method's values; a setting it does not have cannot be moved."""
        defaults = find_method(self.controls["method"].value).defaults
        for name, control in self._gate.items():
            control.disabled = name not in defaults
            if not control.disabled:
                control.value = settings.get(name, defaults[name])

    def _touched(self, change: Any) -> None:
        if change.owner is self.controls["method"]:
            self._use_settings({})
        for view in self.views.values():
            view.add_class(STALE)
        self.status.value = "computing …"
        self._changed()

    def _show(self) -> None:
        start = perf_counter()
        try:
            found = self._look(self.choices)
            shown = {"pictures": _png(found.pictures()), "curves": _png(found.curves())}
        except Exception as error:  # whatever it is, nobody waits for ever; Jupyter would not show it
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            self.status.value = f"<b>{escape(kind + str(error))}</b>"
            return
        for name, picture in shown.items():
            self.views[name].value = picture
            self.views[name].remove_class(STALE)
        seen = ", ".join(f"{side} {share:.0f} %" for side, share in found.recognised().items())
        self.status.value = f"recognised after the edit: {seen} ({perf_counter() - start:.1f} s)"


def debounced(function: Callable[[], None], silence: float) -> Callable[[], None]:
    """Make a trigger that calls ``function`` after ``silence`` seconds without another trigger.

    Where no event loop runs (a script, a test) it is called at once.
    """
    pending: asyncio.TimerHandle | None = None

    def trigger() -> None:
        nonlocal pending
        if pending is not None:
            pending.cancel()
        try:
            pending = asyncio.get_running_loop().call_later(silence, function)
        except RuntimeError:
            function()

    return trigger


def _png(figure: Figure) -> bytes:
    """Render a figure and close it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()
