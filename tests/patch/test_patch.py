from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import scapre
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scapre.methods.registry import METHODS, SOLVERS
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import projection_names, read_projections
from scapre.patch.patch import Patch, undo_path
from toys import tiny_pipe

#: what somebody without scapre does with a patch file
PLAIN = """
import sys
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
model, *patches = sys.argv[1:]
for patch in patches:
    unet = UNet2DConditionModel.from_pretrained(model, use_safetensors=True)
    keys = unet.load_state_dict(load_file(patch), strict=False)
    assert keys.unexpected_keys == [], keys.unexpected_keys
    save_file(unet.state_dict(), patch + ".loaded")
assert "scapre" not in sys.modules
"""


@pytest.fixture
def pipe() -> SimpleNamespace:
    return tiny_pipe()


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("templates", ["name", "sentences"])
def test_apply_and_undo_restore_every_bit(pipe: SimpleNamespace, method: str, templates: str) -> None:
    before = fingerprint(pipe.unet.state_dict())
    options = {"method": method, "templates": templates, "progress": False}
    patch = scapre.erase(pipe, ["cat", "dog"], retained=["sun", "boat"], **options)
    assert fingerprint(pipe.unet.state_dict()) == before  # erase never changes the pipeline
    with patch.applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
        changed = {
            k for k, v in pipe.unet.state_dict().items() if k in patch.original and not v.equal(patch.original[k])
        }
        assert changed == set(projection_names(pipe.unet, METHODS[method].kinds))
    assert fingerprint(pipe.unet.state_dict()) == before
    for facts in patch.diagnostics.values():
        assert 0 < facts["drift"] < 2
        if method in {"scapre", "uce"}:  # the others do not minimise the residual itself
            assert facts["residual"] < 1
        assert method in {"cure", "oce"} or facts["condition"] >= 1  # these solve no system


def test_undo_after_an_error(pipe: SimpleNamespace) -> None:
    before = fingerprint(read_projections(pipe.unet))
    patch = scapre.erase(pipe, ["cat"], progress=False)
    with pytest.raises(KeyError), patch.applied(pipe):
        raise KeyError
    assert fingerprint(read_projections(pipe.unet)) == before


def test_wrong_order_and_wrong_model_are_refused(pipe: SimpleNamespace) -> None:
    first = scapre.erase(pipe, ["cat"], progress=False)
    with pytest.raises(scapre.PatchError, match="not applied"):
        first.undo(pipe)
    first.apply(pipe)
    with pytest.raises(scapre.PatchError, match="applied already"):
        first.apply(pipe)
    second = scapre.erase(pipe, ["dog"], progress=False)
    second.apply(pipe)
    with pytest.raises(scapre.PatchError, match="another edit came after"):
        first.undo(pipe)
    second.undo(pipe)
    first.undo(pipe)
    with pytest.raises(scapre.PatchError, match="differ"):
        first.apply(tiny_pipe(seed=1))
    half = tiny_pipe(dtype=torch.float16)
    with pytest.raises(scapre.PatchError, match="float16"):
        first.apply(half)


def test_saved_patches_are_the_same(pipe: SimpleNamespace, tmp_path: Path) -> None:
    patch = scapre.erase(pipe, ["cat"], retained=["dog"], progress=False)
    again = scapre.Patch.load(patch.save(tmp_path / "cat.safetensors"))
    assert fingerprint(again.edited) == fingerprint(patch.edited)
    assert again.provenance == patch.provenance
    assert again.diagnostics == patch.diagnostics
    again.apply(pipe)
    patch.undo(pipe)


@pytest.mark.slow
def test_plain_diffusers_reads_the_patch_and_its_undo(pipe: SimpleNamespace, tmp_path: Path) -> None:
    pipe.unet.save_pretrained(tmp_path / "unet")
    patch = scapre.erase(pipe, ["cat"], method="confined", progress=False)
    file = patch.save(tmp_path / "cat.safetensors")
    with safe_open(file, "pt") as stored:
        about = stored.metadata()
        assert set(stored.keys()) == set(projection_names(pipe.unet))
    assert json.loads(about["provenance"])["targets"] == ["cat"]
    before = fingerprint(pipe.unet.state_dict())
    assert json.loads(about["base"]) == {n: fingerprint({n: w}) for n, w in read_projections(pipe.unet).items()}
    env = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    files = [str(undo_path(file)), str(file)]
    subprocess.run([sys.executable, "-c", PLAIN, tmp_path / "unet", *files], env=env, cwd=tmp_path, check=True)
    assert fingerprint(load_file(files[0] + ".loaded")) == before
    with patch.applied(pipe):
        assert fingerprint(load_file(files[1] + ".loaded")) == fingerprint(pipe.unet.state_dict()) != before


def test_undo_in_another_session(pipe: SimpleNamespace, tmp_path: Path) -> None:
    before = fingerprint(pipe.unet.state_dict())
    made = scapre.erase(pipe, ["cat"], progress=False)
    made.apply(pipe)
    scapre.Patch.load(made.save(tmp_path / "cat.safetensors")).undo(pipe)
    assert fingerprint(pipe.unet.state_dict()) == before


def test_a_published_patch_undoes_only_where_the_base_was_met(pipe: SimpleNamespace, tmp_path: Path) -> None:
    before = fingerprint(pipe.unet.state_dict())
    made = scapre.erase(pipe, ["cat"], progress=False)
    made.save(tmp_path / "cat.safetensors")
    file = made.save(tmp_path / "cat.safetensors", undo=False)
    assert not undo_path(file).exists()
    with scapre.Patch.load(file).applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
        with pytest.raises(scapre.PatchError, match=r"originals .* not at hand; put the file NAME.undo"):
            scapre.Patch.load(file).undo(pipe)
        with pytest.raises(scapre.PatchError, match="applied already"):
            scapre.Patch.load(file).apply(pipe)
    assert fingerprint(pipe.unet.state_dict()) == before
    for use in (lambda p: p.scaled(0.5), lambda p: p.save(tmp_path / "again.safetensors")):
        with pytest.raises(scapre.PatchError, match="not at hand"):
            use(scapre.Patch.load(file))
    with pytest.raises(scapre.PatchError, match="differ"):
        scapre.Patch.load(file).apply(tiny_pipe(seed=1))


def test_strength_interpolates(pipe: SimpleNamespace) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    assert not patch.scaled(0).changed
    assert fingerprint(patch.scaled(1).edited) == fingerprint(patch.edited)
    part = patch.scaled(0.5).scaled(0.5)
    assert part.provenance["strength"] == 0.25
    for name, old in patch.original.items():
        assert torch.allclose(part.edited[name], old + 0.25 * (patch.edited[name] - old), atol=1e-6)
        assert part.diagnostics[name]["drift"] == pytest.approx(0.25 * patch.diagnostics[name]["drift"])
    before = fingerprint(pipe.unet.state_dict())
    with part.applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
    assert fingerprint(pipe.unet.state_dict()) == before
    with pytest.raises(ValueError, match="strength must lie"):
        patch.scaled(1.5)


def test_patches_stack_in_any_order_exactly_when_they_share_no_matrix(pipe: SimpleNamespace) -> None:
    before = fingerprint(pipe.unet.state_dict())
    whole = [scapre.erase(pipe, [name], progress=False) for name in ("cat", "dog")]

    def part(patch: Patch, kind: str) -> Patch:
        edited = {n: w if kind in n else patch.original[n] for n, w in patch.edited.items()}
        return Patch(dict(patch.original), edited, patch.provenance)

    keys, values = part(whole[0], "to_k"), part(whole[1], "to_v")
    ends = set()
    for order in ((keys, values), (values, keys)):
        for undone in (order, order[::-1]):
            for patch in order:
                patch.apply(pipe)
            ends.add(fingerprint(pipe.unet.state_dict()))
            for patch in undone:
                patch.undo(pipe)
            assert fingerprint(pipe.unet.state_dict()) == before
    assert len(ends) == 1
    with keys.applied(pipe), pytest.raises(scapre.PatchError, match="differ"):
        whole[1].apply(pipe)


def test_damaged_patch_files_are_refused(pipe: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(scapre.PatchError, match="no patch file"):
        scapre.Patch.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        scapre.erase(pipe, ["cat"], progress=False).save(tmp_path / "cat.pt")
    whole = scapre.erase(pipe, ["cat"], progress=False).save(tmp_path / "cat.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:500])
    with pytest.raises(scapre.PatchError, match="intact"):
        scapre.Patch.load(tmp_path / "cut.safetensors")
    with pytest.raises(scapre.PatchError, match="not a scapre-patch"):
        scapre.Patch.load(undo_path(whole))
    bits = bytearray(whole.read_bytes())
    bits[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(bits)
    with pytest.raises(scapre.PatchError, match="what was saved"):
        scapre.Patch.load(tmp_path / "flipped.safetensors")
    scapre.erase(tiny_pipe(seed=1), ["cat"], progress=False).save(tmp_path / "other.safetensors")
    undo_path(tmp_path / "other.safetensors").replace(undo_path(whole))
    with pytest.raises(scapre.PatchError, match="belongs to another patch"):
        scapre.Patch.load(whole)
    with safe_open(whole, "pt") as stored:
        about = stored.metadata()
    tensors = load_file(whole)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, whole, about)
    with pytest.raises(scapre.PatchError, match="what was saved"):
        scapre.Patch.load(whole)


def test_half_precision_models_get_half_precision_patches() -> None:
    pipe = tiny_pipe(dtype=torch.float16)
    patch = scapre.erase(pipe, ["cat"], progress=False)
    assert {w.dtype for w in patch.edited.values()} == {torch.float16}
    with patch.applied(pipe):
        pass


def test_order_and_batching_of_targets_do_not_matter(pipe: SimpleNamespace) -> None:
    for method in ("staged", "confined", "scapre-paper", "uce"):
        one = scapre.erase(pipe, ["cat", "dog", "sun"], method=method, progress=False)
        other = scapre.erase(pipe, ["sun", "cat", "dog"], method=method, progress=False)
        for name in one.edited:
            assert torch.allclose(one.edited[name], other.edited[name], atol=1e-5)


def test_same_seed_same_patch(pipe: SimpleNamespace) -> None:
    patches = [scapre.erase(pipe, ["cat", "dog"], method="scapre-scale", seed=s, progress=False) for s in (0, 0, 1)]
    prints = [fingerprint(p.edited) for p in patches]
    assert prints[0] == prints[1] != prints[2]
