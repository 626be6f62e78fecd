"""Values of settings: what a number of a method may be, said before anything is solved."""

from __future__ import annotations

from math import isfinite
from typing import Any

#: settings that must be positive, and why
POSITIVE = {
    "ridge": "it keeps the solution unique",
    "inner_ridge": "it keeps the solution unique",
    "first_ridge": "it keeps the solution unique",
    "gamma": "it keeps the derived embedding finite",
    "temperature": "it divides the standardised information",
    "gate_temperature": "it divides the eigenvalues",
    "tau": "at zero no direction is free of kept concepts",
    "ascent_scale": "it divides the target's loss",
    "alpha": "it weighs the directions to remove",
    "energy": "at zero nothing is kept",
    "first_steps": "what a concept uses is read while it is drawn",
    "total_steps": "what a concept uses is read while it is drawn",
    "draws": "what a concept uses is read while it is drawn",
    "entropy_samples": "an entropy needs draws",
    "entropy_bins": "an entropy needs bins",
}
SIGNED = ("threshold",)  # all others are 0 or more
SHARES = ("geodesic_time", "alpha_min", "energy", "share", "time_share", "agreement", "vocabulary", "same")
LARGEST_SEED = 90_000_000  # generators of training count concepts and steps beside it
LARGEST, SMALLEST, MOST = 1e12, 1e-12, 10_000  # beyond these a solve overflows, is singular, or does not end


def checked(key: str, value: Any, default: float | int | bool | str) -> float | int | bool | str:
    """Return a setting's value as a plain number, or a word as it is, or refuse it.

    Args:
        key: the setting.
        value: what was given for it.
        default: a value of the right kind.

    Raises:
        ValueError: it is of another kind (a switch, a word, a count, a number), not finite, or out of range.
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # of numpy or torch
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{key} is a switch; give true or false, not {value!r}")
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(f"{key} is a word; give one, not {value!r}")
        return value
    counts = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if counts else (int, float)):
        kind = "counts; give a whole number, 0 or more" if counts else "is a number; give one"
        raise ValueError(f"{key} {kind}, not {value!r}")
    number = float(value) if abs(value) < 2**1000 else float("inf")  # a whole number may be larger than any float
    if not isfinite(number):
        raise ValueError(f"{key} must be finite, got {value!r:.40}")
    if key in POSITIVE and number <= 0:
        raise ValueError(f"{key} must be positive, got {value}: {POSITIVE[key]}")
    if number < 0 and key not in SIGNED:
        kind = "counts; give a whole number, 0 or more" if counts else "must be 0 or more"
        raise ValueError(f"{key} {kind}, not {value}")
    if key in SHARES and number > 1:
        raise ValueError(f"{key} must lie between 0 and 1, got {value}")
    if counts and number > MOST:
        raise ValueError(f"{key} counts; give at most {MOST}, not {value}")
    if abs(number) > LARGEST or 0 < abs(number) < SMALLEST:
        raise ValueError(f"{key} must lie between {SMALLEST} and {LARGEST}, got {value}")
    return value


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes.

    Raises:
        ValueError: no whole number, or one out of range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"the seed is a whole number from 0 to {LARGEST_SEED}, not {seed!r:.40}")
