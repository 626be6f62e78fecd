"""Records on disk: the same bits again, bounded, safe against whatever else happens to the folder."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import scapre
import torch
from scapre.text import kept, store
from scapre.text.gathering import gather
from scapre.text.inner import key_moments, places_of
from scapre.text.store import readings, recall
from toys import tiny_pipe

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCAPRE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


class Maker:
    """Makes a record and counts how often."""

    def __init__(self, size: int = 8) -> None:
        self.calls, self.size = 0, size

    def __call__(self) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"x": torch.arange(self.size, dtype=torch.float64) / 3}


def test_a_record_is_made_once_and_comes_back_bit_for_bit(folder: Path) -> None:
    make = Maker()
    first, second = recall(["a"], make, CPU), recall(["a"], make, CPU)
    assert make.calls == 1
    assert torch.equal(first["x"], second["x"])
    recall(["b"], make, CPU)
    assert make.calls == 2


@pytest.mark.parametrize("damage", [b"", b"cut", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_record_is_made_anew(folder: Path, damage: bytes) -> None:
    make = Maker()
    recall(["a"], make, CPU)
    (file,) = folder.iterdir()
    file.write_bytes(damage)
    assert torch.equal(recall(["a"], make, CPU)["x"], Maker()()["x"])
    recall(["a"], make, CPU)
    assert make.calls == 2


def test_the_record_used_longest_ago_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LIMIT", 4096)
    make = Maker(100)  # 800 bytes and a header
    for age, name in ((30, "a"), (20, "b"), (10, "c"), (5, "d")):
        recall([name], make, CPU)
        for file in folder.iterdir():
            if file.stat().st_mtime > time.time() - 1:
                os.utime(file, (time.time() - age, time.time() - age))
    recall(["a"], make, CPU)  # used now
    recall(["e"], make, CPU)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 4096
    made = make.calls
    recall(["a"], make, CPU)
    assert make.calls == made
    recall(["b"], make, CPU)
    assert make.calls == made + 1


def test_what_is_too_large_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LIMIT", 1024)
    assert len(recall(["a"], Maker(100), CPU)["x"]) == 100
    assert not folder.exists()


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(folder: Path) -> None:
    folder.mkdir()
    old, new = folder / "a.1.partial", folder / "b.2.partial"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - store.LEFT - 1,) * 2)
    recall(["c"], Maker(), CPU)
    assert not old.exists()
    assert new.exists()


def test_off_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAPRE_CACHE", store.OFF)
    make = Maker()
    recall(["a"], make, CPU)
    recall(["a"], make, CPU)
    assert make.calls == 2
    assert not folder.exists()


def test_other_weights_windows_and_sentences_are_other_readings() -> None:
    pipe, other = tiny_pipe(), tiny_pipe(1)
    same = readings(pipe, ["cat"])
    assert same == readings(tiny_pipe(), ["cat"])
    assert same != readings(other, ["cat"])
    assert same != readings(pipe, ["dog"])
    pipe.tokenizer.model_max_length = 10
    assert same != readings(pipe, ["cat"])


@pytest.mark.parametrize("method", ["staged", "confined", "oce"])
def test_an_edit_from_the_store_is_the_edit(folder: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(kept, "LONG", 2)
    pipe = tiny_pipe()

    def erase() -> scapre.Patch:
        return scapre.erase(pipe, ["cat", "lemon"], retained=["dog", "sun", "boat"], method=method, progress=False)

    first = erase()
    seen: list[int] = []
    hook = pipe.text_encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])), always_call=True)
    second = erase()
    hook.remove()
    monkeypatch.setenv("SCAPRE_CACHE", store.OFF)
    plain = erase()
    assert all(torch.equal(weight, second.edited[name]) for name, weight in first.edited.items())
    for name, weight in plain.edited.items():
        assert torch.allclose(weight, second.edited[name], rtol=1e-5, atol=1e-5)
    assert method == "staged" or max(seen) <= 2 * 4  # the targets' sentences, never the kept list


def test_keys_of_a_list_come_from_the_run_that_reads_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LONG", 2)
    pipe, names = tiny_pipe(), ["dog", "sun", "boat"]
    places = places_of(pipe, 2)
    kept.read_list(pipe, names, 1, "content", places=places)
    monkeypatch.setattr(kept, "key_moments", lambda *_, **__: pytest.fail("read again"))
    found = kept.list_moments(pipe, places, names)
    monkeypatch.undo()
    for place, moment in key_moments(pipe, places, names).items():
        assert torch.allclose(found[place], moment, rtol=1e-5, atol=1e-5)


def test_an_edited_encoder_finds_nothing_of_the_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LONG", 2)
    pipe = tiny_pipe()
    before = kept.read_list(pipe, ["dog", "sun"], 1, "content")
    with torch.no_grad():
        pipe.text_encoder.get_parameter(next(n for n, _ in pipe.text_encoder.named_parameters() if "fc2" in n)).mul_(2)
    assert not torch.allclose(before.features, kept.read_list(pipe, ["dog", "sun"], 1, "content").features)


def test_a_known_moment_is_that_of_its_own_contexts_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LONG", 2)
    statistics = gather(tiny_pipe(), ["cat"], retained=["dog", "sun", "boat"])
    assert torch.allclose(statistics.kept_gram, plain_moment(statistics.kept), rtol=1e-5)
    fewer = replace(statistics, retained=statistics.retained[:2], kept=statistics.kept[:2])
    assert torch.allclose(fewer.kept_gram, plain_moment(statistics.kept[:2]), rtol=1e-5)
    memory = scapre.remember(tiny_pipe(), ["cat"], retained=["dog", "sun", "boat"], templates="name", progress=False)
    later = scapre.remember(tiny_pipe(), ["dog"], retained=["sun"], templates="name", progress=False)
    joined = memory.joined(later).statistics
    assert torch.allclose(joined.kept_gram, plain_moment(joined.kept), rtol=1e-5)
    assert len(joined.retained) == 2


def plain_moment(contexts: torch.Tensor) -> torch.Tensor:
    return torch.einsum("mtd,mte->de", contexts.double(), contexts.double())
