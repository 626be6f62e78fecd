"""What erasers that train share: the frozen model, its noise and walks, the student, drawings, the loop."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from families import UNETS, real_unet, small_pipeline
from scapre.concepts.names import ConceptError
from scapre.methods.trained import drawing, loop
from scapre.methods.trained.concept_ablation import ConceptAblation
from scapre.methods.trained.denoiser import Denoiser
from scapre.methods.trained.drawing import Order, draw
from scapre.methods.trained.esd import Esd
from scapre.methods.trained.loop import train
from scapre.methods.trained.student import SELECTIONS, apprentice, footprint, trained_names
from toys import tiny_pipe
from trained_toys import asked, opened, tiny_pipeline


def test_selections_are_disjoint_or_nested() -> None:
    unet = tiny_pipeline().unet
    names = {each: set(trained_names(unet, each)) for each in SELECTIONS}
    assert names["kv"] < names["cross-attention"] < names["unet"]
    assert names["outside-cross-attention"] == names["unet"] - names["cross-attention"]
    with pytest.raises(ValueError, match="unknown selection 'keys'"):
        trained_names(unet, "keys")


@pytest.mark.parametrize(("selection", "millions"), [("kv", 19.2), ("cross-attention", 43.96), ("unet", 859.5)])
def test_memory_for_stable_diffusion_1(selection: str, millions: float) -> None:
    cost = footprint(real_unet("sd1"), selection)
    assert cost["weights"] / 1e6 == pytest.approx(millions, abs=0.05)
    assert cost["bytes"] == 16 * cost["weights"]
    assert footprint(real_unet("sd1"), selection, optimiser="gradient")["bytes"] == 8 * cost["weights"]


@torch.no_grad()
def test_noise_and_goal_are_those_of_the_schedule() -> None:
    for kind in ("epsilon", "v_prediction"):
        denoiser = Denoiser(tiny_pipeline(torch.float64, kind))
        g = torch.Generator().manual_seed(0)
        clean, noise, t = denoiser.gauss(3, g), denoiser.gauss(3, g), denoiser.times(3, g)
        kept = (1 - torch.linspace(1e-4, 2e-2, 1000).double()).cumprod(0)[t].view(3, 1, 1, 1)
        x = denoiser.noised(clean, noise, t)
        assert torch.allclose(x, kept.sqrt() * clean + (1 - kept).sqrt() * noise, atol=1e-6)
        goal = denoiser.goal(clean, noise, t)
        if kind == "epsilon":
            assert goal.equal(noise)
        else:  # x_0 = √ᾱ x_t − √(1 − ᾱ) v
            assert torch.allclose(kept.sqrt() * x - (1 - kept).sqrt() * goal, clean, atol=1e-6)


@torch.no_grad()
def test_guidance_and_walks_are_those_of_the_pipeline() -> None:
    pipe = tiny_pipeline()
    denoiser = Denoiser(pipe)
    ids = denoiser.say(["cat", "dog"])
    start = denoiser.gauss(2, torch.Generator().manual_seed(0))
    states, times = denoiser.walk(pipe.unet, ids, start, 4, 3.0, far=4)
    assert states[0].equal(start)
    t = times[-1].expand(2)
    last = denoiser.guided(pipe.unet, states[-1], t, ids, 3.0)
    ends = denoiser.ddim.step(last, times[-1], states[-1]).prev_sample
    scheduler, pipe.scheduler = pipe.scheduler, denoiser.ddim
    try:
        theirs = pipe(["cat", "dog"], num_inference_steps=4, guidance_scale=3.0, latents=start, output_type="latent")
    finally:
        pipe.scheduler = scheduler
    assert torch.allclose(ends, theirs.images, atol=1e-5)
    short, _ = denoiser.walk(pipe.unet, ids, start, 4, 3.0, far=2)
    assert short.equal(states[:2])


@pytest.mark.parametrize("kind", [Esd, ConceptAblation])
@pytest.mark.parametrize("family", list(UNETS))
def test_every_family_is_trained(family: str, kind: type) -> None:
    pipe = small_pipeline(family)
    eraser = opened(kind, pipe, asked(("cat",), ("",)), steps=1, batch=1, trained="kv")
    assert eraser.denoiser.text(eraser.denoiser.say(["cat"])).pooled is None or family == "sdxl"
    edited, own = train(eraser), dict(pipe.unet.named_parameters())
    assert all(torch.isfinite(weight).all() for weight in edited.values())
    assert any(not weight.equal(own[name]) for name, weight in edited.items())


@torch.no_grad()
def test_sdxl_is_asked_as_its_pipeline_asks_it() -> None:
    pipe = small_pipeline("sdxl")
    denoiser, seen = Denoiser(pipe), []
    hook = pipe.unet.register_forward_pre_hook(lambda module, inputs, options: seen.append(options), with_kwargs=True)
    start = denoiser.gauss(1, torch.Generator().manual_seed(0))
    pipe("cat", num_inference_steps=1, latents=start, output_type="latent", guidance_scale=3.0)
    hook.remove()
    for row, prompt in enumerate(["", "cat"]):
        text = denoiser.text(denoiser.say([prompt]))
        assert torch.allclose(text.hidden[0], seen[0]["encoder_hidden_states"][row], atol=1e-5)
        added = seen[0]["added_cond_kwargs"]
        assert text.pooled is not None
        assert torch.allclose(text.pooled[0], added["text_embeds"][row], atol=1e-5)
    guess = pipe.unet(start, 1, encoder_hidden_states=text.hidden, added_cond_kwargs={
        "text_embeds": text.pooled, "time_ids": added["time_ids"][1:].float()}).sample  # fmt: skip
    assert torch.allclose(denoiser.frozen(start, torch.tensor([1]), denoiser.say(["cat"])), guess, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_learns_in_single(dtype: torch.dtype) -> None:
    pipe = tiny_pipeline(dtype)
    eraser = opened(Esd, pipe, learning_rate=1e-2)
    assert {p.dtype for p in eraser.parameters.values()} == {torch.float32}
    edited = train(eraser)
    assert {w.dtype for w in edited.values()} == {dtype}
    assert any(not w.equal(dict(pipe.unet.named_parameters())[n]) for n, w in edited.items())


def test_gradient_checkpointing_changes_no_gradient() -> None:
    plain, saving = opened(Esd), opened(Esd)
    saving.student.enable_gradient_checkpointing()
    for eraser in (plain, saving):
        loop.one_step(eraser, eraser.optimiser())
    for name, weight in plain.parameters.items():
        assert torch.allclose(weight, saving.parameters[name], atol=1e-6)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("settings", [{"reuse": 3, "steps": 6}])
def test_an_interrupted_edit_goes_on_to_the_same_weights(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    whole = train(opened(Esd, **settings))

    def stop(done: int) -> None:
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        train(opened(Esd, **settings), watch=stop)
    steps: list[int] = []
    resumed = opened(Esd, **settings)
    again = train(resumed, watch=steps.append)
    assert steps == [5, 6]  # the fourth was the last that was kept
    assert len(resumed.history) == 6
    assert all(again[name].equal(whole[name]) for name in whole)
    assert not list((cache / "cache" / "unfinished").glob("*"))


def test_other_settings_do_not_go_on_from_an_interrupted_edit() -> None:
    places = {loop._place(opened(Esd, **s)) for s in ({}, {"eta": 2.0}, {"seed": 1}, {"wish": asked(("cat",), ("",))})}
    assert len(places) == 4


def test_pictures_are_drawn_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drawing, "data_folder", lambda: tmp_path)
    pipe, calls = tiny_pipeline(), []
    real_call = type(pipe).__call__
    monkeypatch.setattr(type(pipe), "__call__", lambda self, *a, **k: calls.append(a) or real_call(self, *a, **k))
    orders = [Order("cat", 3, 2, 3.0), Order("dog", 3, 2, 3.0)]
    first, again = draw(pipe, "model", orders), draw(pipe, "model", orders[::-1])[::-1]
    assert all(one.equal(other) for one, other in zip(first, again, strict=True))
    assert first[0].shape == (3, 4, 8, 8)
    assert len(calls) == 1  # both prompts in one batch
    others = [Order("cat", 3, 2, 3.0, "dog"), Order("cat", 3, 2, 3.0, seed=1), orders[1]]
    assert all(not other.equal(first[0]) for other in draw(pipe, "model", others))
    draw(pipe, "another model", orders)
    assert len(calls) == 3
    monkeypatch.setattr(drawing, "AT_ONCE", 2)
    small = draw(pipe, "model", [Order("cat", 1, 2, 3.0), Order("dog", 2, 2, 3.0)])
    assert torch.allclose(small[0], first[0][:1], atol=1e-5)  # picture i depends on its own seed
    assert torch.allclose(small[1], first[1][:2], atol=1e-5)
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_real_pictures_are_the_emoji() -> None:
    latents = drawing.real(tiny_pipeline(), ["dog", "lemon"], (8, 8))
    assert latents.shape == (2, 6, 4, 8, 8)
    assert not latents[0].allclose(latents[1])
    with pytest.raises(ConceptError, match="unknown concept 'dogg'"):
        drawing.real(tiny_pipeline(), ["dogg"], (8, 8))


def test_a_pipeline_that_lacks_a_part_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no scheduler"):
        opened(Esd, tiny_pipe())
    whole = tiny_pipeline()
    names = ("unet", "text_encoder", "tokenizer", "scheduler", "device")
    blind = SimpleNamespace(**{name: getattr(whole, name) for name in names})
    with pytest.raises(ValueError, match="concept-ablation draws pictures, and this pipeline has no vae"):
        opened(ConceptAblation, blind)
    assert train(opened(Esd, blind))  # draws none
    blind.scheduler = SimpleNamespace(config={"prediction_type": "sample"})
    with pytest.raises(ValueError, match="predicts sample"):
        opened(Esd, blind)


def test_a_loss_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    eraser = opened(Esd, steps=3)
    good = eraser.losses
    monkeypatch.setattr(eraser, "losses", lambda b: good(b) if eraser.step < 1 else (torch.tensor(torch.nan),))
    with pytest.raises(ValueError, match="the loss of esd is no number at step 1; lower learning_rate"):
        train(eraser)


def test_a_student_shares_all_but_what_it_learns() -> None:
    unet = tiny_pipeline().unet
    student = apprentice(unet, {"conv_in.weight"})
    pairs = zip(unet.named_parameters(), student.parameters(), strict=True)
    apart = [name for (name, ours), theirs in pairs if ours.data_ptr() != theirs.data_ptr()]
    assert apart == ["conv_in.weight"]
    assert [n for n, p in student.named_parameters() if p.requires_grad] == ["conv_in.weight"]
