from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scapre
import torch
from hypothesis import given
from hypothesis import strategies as st
from scapre.methods.registry import METHODS, SOLVERS, complete
from strange import repeated
from toys import tiny_pipe

PAIRS = [(method, key) for method in METHODS for key in METHODS[method].defaults]
NUMBERS = st.one_of(
    *(st.floats(), st.floats(1e-12, 1e12), st.floats(0, 1), st.integers(), st.integers(0, 20), st.booleans()),
    *(st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=1), st.complex_numbers()),
    st.sampled_from([np.float32(0.5), np.int64(3), np.bool_(True), torch.tensor(2.0), 10**400, -(10**400)]),
)


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("confined", {"erase_scale": float("inf")}, "erase_scale must be finite"),
        ("confined", {"erase_scale": 10**400}, "erase_scale must be finite"),
        ("confined", {"erase_scale": float("nan")}, "erase_scale must be finite"),
        ("confined", {"erase_scale": 1e300}, r"erase_scale must lie between 1e-12 and"),
        ("confined", {"erase_scale": -1.0}, "erase_scale must be 0 or more"),
        ("confined", {"ridge": True}, "ridge is a number; give one, not True"),
        ("confined", {"ridge": "80"}, "ridge is a number; give one, not '80'"),
        ("confined", {"ridge": None}, "ridge is a number"),
        ("confined", {"ridge": 0}, "ridge must be positive, got 0: it keeps"),
        ("confined", {"use_mask": 1}, "use_mask is a switch; give true or false, not 1"),
        ("confined", {"bures_iters": 1.5}, "bures_iters counts; give a whole number, 0 or more, not 1.5"),
        ("confined", {"bures_iters": 10**9}, "bures_iters counts; give at most 10000"),
        ("scapre-paper", {"geodesic_time": 1.5}, "geodesic_time must lie between 0 and 1"),
        ("scapre-basic", {"entropy_bins": 0}, "entropy_bins must be positive"),
    ],
)
def test_settings_of_another_kind_or_size_are_refused(method: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        complete(method, settings)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    given_ = {"ridge": np.float32(0.5), "bures_iters": np.int64(2), "use_mask": np.bool_(False), "p": torch.tensor(2)}
    values = complete("confined", given_)
    assert [type(values[key]) for key in given_] == [float, int, bool, int]
    assert complete("confined", {"threshold": -1.5})["threshold"] == -1.5


@repeated(1000)
@given(st.sampled_from(PAIRS), NUMBERS)
def test_any_value_is_a_setting_or_a_sentence(pair: tuple[str, str], value: Any) -> None:
    method, key = pair
    try:
        kept = complete(method, {key: value})[key]
    except ValueError as error:
        assert str(error).startswith(key)  # noqa: PT017
        return
    assert isinstance(kept, type(METHODS[method].defaults[key])) or type(kept) is int
    assert kept == value


@repeated(150)
@given(st.data())
def test_any_legal_settings_are_solved_or_refused_in_a_sentence(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(list(SOLVERS)))
    settings = {}
    for key, default in SOLVERS[method].defaults.items():
        kind = bool if isinstance(default, bool) else type(default)
        settings[key] = data.draw(st.one_of(st.just(default), LEGAL[kind]), key)
    torch.set_grad_enabled(False)
    try:
        patch = scapre.erase(PIPE, ["cat"], retained=["dog", "boat"], method=method, progress=False, **settings)
    except ValueError:
        return
    assert all(weight.isfinite().all() for weight in patch.edited.values())


PIPE = tiny_pipe()
LEGAL = {
    bool: st.booleans(),
    int: st.integers(0, 20),
    float: st.one_of(st.sampled_from([0.0, 1e-12, 1e-6, 1.0, 1e6, 1e12]), st.floats(1e-12, 1e12), st.floats(0.01, 100)),
}
