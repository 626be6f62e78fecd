from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scapre import load_pipeline
from scapre.files import WriteError, write_tensors
from scapre.training.augment import jitter
from scapre.training.captions import Vocabulary
from scapre.training.loop import Schedule, train
from scapre.training.recipe import vocabulary
from scapre.training.text import _pooling_positions, new_tokenizer
from torch import nn

SCHEDULE = Schedule(steps=12, lr=1e-2, warmup=2, save_every=4, ema=0.9)


def regression(stop_at: int | None = None):
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def step(number: int, generator: torch.Generator):
        if number == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        return (module(x) - x.sum(1, keepdim=True)).square().mean(), {}

    return module, step


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, step = regression()
    train(whole, step, SCHEDULE, tmp_path / "whole")
    broken, step = regression(stop_at=9)
    with pytest.raises(KeyboardInterrupt):
        train(broken, step, SCHEDULE, tmp_path / "broken")
    again, step = regression()
    train(again, step, SCHEDULE, tmp_path / "broken")
    assert torch.allclose(whole.weight, again.weight, atol=1e-7)
    log = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    assert log[0].startswith("step,loss")
    assert log[-1].startswith("11,")


def test_training_lowers_the_loss_and_stops_on_nonsense(tmp_path: Path) -> None:
    module, step = regression()
    before = step(0, torch.Generator().manual_seed(1))[0]
    train(module, step, Schedule(steps=200, lr=5e-2, warmup=2), tmp_path / "a")
    assert step(0, torch.Generator().manual_seed(1))[0] < before / 10
    with pytest.raises(RuntimeError, match="loss of b is nan at step 0"):
        train(module, lambda n, g: (module.weight.sum() * torch.nan, {}), SCHEDULE, tmp_path / "b")


def test_a_full_disk_and_a_damaged_checkpoint_are_said(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    module, step = regression()
    train(module, step, SCHEDULE, tmp_path / "cut")
    whole = (tmp_path / "cut" / "checkpoint.safetensors").read_bytes()
    (tmp_path / "cut" / "checkpoint.safetensors").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is damaged .*remove it to train cut anew"):
        train(module, step, SCHEDULE, tmp_path / "cut")
    wide = nn.Linear(300, 100, bias=False)
    request.getfixturevalue("small_files")
    with pytest.raises(WriteError, match=r"cannot write .*checkpoint.safetensors"):
        train(wide, lambda n, g: (wide.weight.square().sum(), {}), SCHEDULE, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["log.csv"]


def test_files_appear_whole(tmp_path: Path) -> None:
    write_tensors(tmp_path / "deep" / "x.safetensors", {"a": torch.zeros(3)})
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.safetensors"]


def test_jitter_is_drawn_from_its_generator_only() -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    one, two, other = (
        jitter(images, torch.Generator().manual_seed(s), turn=0.1, colour=0.1, blur=0.5, noise=0.1) for s in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.abs().max() <= 1
    still = jitter(images, torch.Generator().manual_seed(0), shift=0.0)
    assert torch.allclose(still, images, atol=1e-5)


def test_captions_use_aliases_and_every_position_is_pooled() -> None:
    words = Vocabulary((("dog", "hound"), ("sun",)), ("flat", "ink"))
    g = torch.Generator().manual_seed(0)
    said = {words.caption(0, 1, g) for _ in range(200)}
    assert any("hound" in s for s in said)
    assert all("ink" in s for s in said)
    places = {s.split().index("dog") for s in said if "dog" in s.split()}
    assert len(places) >= 4
    assert not any(style in words.caption(0, None, g) for style in ("flat", "ink") for _ in range(50))
    tokenizer = new_tokenizer(words, 300)
    ids = tokenizer(["dog", "a picture of a sun"] * 200, padding="max_length", return_tensors="pt").input_ids
    end = (ids == tokenizer.eos_token_id).int().argmax(1)
    offset = _pooling_positions(ids, tokenizer.eos_token_id, g) - end
    assert offset.min() == -1
    assert offset.max() > 3
    assert 0.4 < (offset == 0).float().mean() < 0.7


def test_a_rebuilt_tokenizer_splits_captions_as_the_shipped_one() -> None:
    built, shipped = new_tokenizer(vocabulary()), load_pipeline().tokenizer
    assert built.get_vocab().keys() == shipped.get_vocab().keys()
    assert sum(number != shipped.get_vocab()[token] for token, number in built.get_vocab().items()) == 79
    for caption in sorted(set(vocabulary().corpus()))[::20]:
        assert built.tokenize(caption) == shipped.tokenize(caption)
