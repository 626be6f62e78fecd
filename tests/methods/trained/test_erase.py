"""Erasers that train behind the same call as the closed forms."""

from __future__ import annotations

from pathlib import Path

import pytest
import scapre
import torch
from scapre.methods.closed.names import PRUNERS, SOLVERS
from scapre.methods.registry import METHODS, complete
from scapre.methods.trained.names import TRAINED
from scapre.model.fingerprint import fingerprint
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
    closed = {**SOLVERS, **PRUNERS}
    assert set(scapre.methods()) == set(closed) | set(TRAINED)
    assert set(scapre.methods(trained=False)) == set(closed)
    assert not set(closed) & set(TRAINED)
    assert complete("esd", {"eta": 2.0})["eta"] == 2.0


def test_an_spm_patch_has_low_rank() -> None:
    patch = scapre.erase(tiny_pipeline(), ["cat", "dog"], method="spm", **WISH, **quick("spm"))
    for name, weight in patch.changed.items():
        change = (weight - patch.original[name]).double().flatten(1)
        assert torch.linalg.matrix_rank(change, rtol=1e-3) <= 2
