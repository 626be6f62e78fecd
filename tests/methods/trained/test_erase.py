"""Erasers that train behind the same call as the closed forms."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import scapre
import torch
from scapre.methods.closed.names import CLOSED
from scapre.methods.method import TRIES
from scapre.methods.registry import METHODS, complete
from scapre.methods.trained.denoiser import Denoiser
from scapre.methods.trained.names import TRAINED
from scapre.model.fingerprint import fingerprint
from scapre.patch.export import export
from scapre.patch.patch import PatchError
from trained_toys import DRAWING, QUICK, tiny_pipeline

WISH = {"anchors": ["sun", "boat"], "retained": ["sun", "boat", "tree"], "progress": False}
every_name = pytest.mark.parametrize("method", TRAINED)


def quick(method: str) -> dict[str, float]:
    return {k: v for k, v in (QUICK | DRAWING).items() if k in METHODS[method].defaults}


@every_name
def test_a_patch_goes_in_and_comes_out(method: str, tmp_path: Path) -> None:
    pipe = tiny_pipeline()
    before = fingerprint(pipe.unet.state_dict())
    patch = scapre.erase(pipe, ["cat", "dog"], method=method, seed=5, **WISH, **quick(method))
    assert patch.provenance["method"] == method
    assert patch.provenance["settings"] == METHODS[method].defaults | quick(method)
    assert patch.changed
    loaded = scapre.Patch.load(patch.save(tmp_path / "edit.safetensors"))
    with loaded.applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
    assert fingerprint(pipe.unet.state_dict()) == before


@every_name
def test_as_many_tries_as_a_closed_form(method: str) -> None:
    kind = METHODS[method]
    assert len(list(product(*kind.grids.values()))) == TRIES
    for knob, values in kind.grids.items():
        assert kind.defaults[knob] in values
        assert list(values) == sorted(set(values))


def test_anchors_are_the_nearest_kept_concepts_where_a_method_asks_for_them() -> None:
    pipe, options = tiny_pipeline(), {"retained": ["sun", "tree"], "progress": False, "steps": 0}
    closed = scapre.erase(pipe, ["cat"], retained=["sun", "tree"], templates="name", progress=False)
    towards = scapre.erase(pipe, ["cat"], method="concept-ablation", **options, pictures=1, drawing_steps=1)
    assert towards.provenance["anchors"] == closed.provenance["anchors"]
    assert scapre.erase(pipe, ["cat"], method="esd", **options).provenance["anchors"] == [" "]


@every_name
def test_settings_that_make_no_sense_are_refused_before_work(method: str) -> None:
    def attempt(**settings: object) -> None:
        scapre.erase(tiny_pipeline(), ["cat"], method=method, **WISH | {"anchors": "sun"}, **settings)

    with pytest.raises(ValueError, match=r"batch of .* must be at least 1"):
        attempt(batch=0)
    with pytest.raises(ValueError, match=r"trained of .* is one of as-published, kv"):
        attempt(trained="keys")
    with pytest.raises(ValueError, match="trained is a word; give one, not 3"):
        attempt(trained=3)
    with pytest.raises(ValueError, match="steps counts; give a whole number, 0 or more, not 'many'"):
        attempt(steps="many")
    with pytest.raises(ValueError, match="learning_rate must be 0 or more"):
        attempt(learning_rate=-1.0)
    for name, words in METHODS[method].edit.args[0].choices.items():  # type: ignore[union-attr]
        with pytest.raises(ValueError, match=f"{name} of .* is one of {words[0]}"):
            attempt(**{name: "another"})


@pytest.mark.parametrize("method", ["restricted-gradient", "surgun", "salun"])
def test_methods_that_need_kept_concepts_say_so(method: str) -> None:
    with pytest.raises(ValueError, match=r"name (concepts to keep|some) in retained"):
        scapre.erase(tiny_pipeline(), ["cat"], method=method, progress=False, **quick(method))


def test_closed_forms_and_trained_ones_are_told_apart() -> None:
    assert set(scapre.methods()) == set(CLOSED) | set(TRAINED)
    assert set(scapre.methods(trained=False)) == set(CLOSED)
    assert not set(CLOSED) & set(TRAINED)
    assert complete("esd", {"eta": 2.0})["eta"] == 2.0


@torch.no_grad()
def test_an_spm_patch_is_a_lora_of_its_rank(tmp_path: Path) -> None:
    pipe = tiny_pipeline.__wrapped__()  # its own: loading an adapter switches the gradients of what it is put on off
    patch = scapre.erase(pipe, ["cat", "dog"], method="spm", **WISH, **quick("spm") | {"learning_rate": 0.01})
    assert any(weight.ndim == 4 for weight in patch.changed.values())  # convolutions too
    table = export(patch, tmp_path / "shared", "lora", tolerance=1e-3)
    assert table is not None
    assert table["rank"].max() == 2
    assert "weights of unet; nothing else changed" in (tmp_path / "shared" / "README.md").read_text()
    denoiser = Denoiser(pipe)
    x, t = denoiser.gauss(1, torch.Generator().manual_seed(0)), torch.tensor([500])
    with patch.applied(pipe):
        edited = denoiser.frozen(x, t, denoiser.say(["cat"]))
    plain = denoiser.frozen(x, t, denoiser.say(["cat"]))
    pipe.load_lora_weights(tmp_path / "shared")
    try:
        adapted = denoiser.frozen(x, t, denoiser.say(["cat"]))
    finally:
        pipe.unload_lora_weights()
    assert (adapted - edited).norm() < 1e-2 * (edited - plain).norm()


def test_what_no_adapter_holds_is_refused(tmp_path: Path) -> None:
    patch = scapre.erase(tiny_pipeline(), ["cat"], method="forget-me-not", progress=False, **quick("forget-me-not"))
    with pytest.raises(PatchError, match="is no weight that a lora holds; use form patch"):
        export(patch, tmp_path / "lora", "lora")
    export(patch, tmp_path / "patch", "patch")
