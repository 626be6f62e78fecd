from __future__ import annotations

import pytest
from scapre.bench import benchmark
from scapre.methods.registry import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_timed(method: str) -> None:
    table = benchmark("tiny", method, [1, 3])
    assert table["n"].tolist() == [1, 3]
    assert (table[["statistics", "solve", "floor", "naive", "GB"]] > 0).all().all()


def test_unknown_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="known: sd1"):
        benchmark("sd9")
    with pytest.raises(ValueError, match="known: scapre"):
        benchmark("tiny", "magic")
