"""What people might hand to a reader, for property tests: pieces of tables in any order, text, bytes, damaged files."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as st

PIECES = [
    *(",", ";", "\t", "|", "\n", "\r\n", '"', "\\", '\\"', "{", "}", "[", "]", ":", "\ufeff", " ", "é", "🦊"),
    *("prompt", "Prompt", "adv_prompt", "seed", "case_number", "evaluation_guidance", "name", "concept", "Artist"),
    *("1", "-1", "1e9", "1e999999999", "nan", "a cat", '{"prompt": "a"}', '{"name": "a"}', "PAR1", "PK\x03\x04"),
]


def files() -> st.SearchStrategy[bytes]:
    """Contents of files that may be tables."""
    return st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=24).map(lambda parts: "".join(parts).encode()),
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )


def repeated(examples: int) -> settings:
    """Settings of a property test: the same examples every time; ``SCAPRE_EXAMPLES`` times as many."""
    times = int(os.environ.get("SCAPRE_EXAMPLES", "1"))
    return settings(max_examples=times * examples, derandomize=True, deadline=None, database=None)


def damages() -> st.SearchStrategy[tuple[float, int | None]]:
    """A place as a share of a file, its head more often, and the bit to flip there; None: the file ends there."""
    place = st.one_of(st.floats(0, 1, exclude_max=True), st.floats(0, 0.15))
    return st.tuples(place, st.one_of(st.none(), st.integers(0, 7)))


def damaged(data: bytes, share: float, bit: int | None) -> bytes:
    """A file's content after one of ``damages``."""
    place = int(share * len(data))
    return data[:place] if bit is None else data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
