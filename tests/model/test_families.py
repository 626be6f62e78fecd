"""Stable Diffusion 1.x, 2.x and SDXL from their real configurations; what is not a UNet is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import scapre
import torch
from dits import REAL, real_transformer
from families import UNETS, real_unet, small_pipeline
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import projection_names
from scapre.model.sampling import sample
from scapre.model.shapes import SHAPES, readings_of
from scapre.patch.export import export
from scapre.text.embeddings import encode

FAMILIES = list(UNETS)


#: wide as the real one
WIDE = pytest.param("sdxl", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[*(family for family in FAMILIES if family != "sdxl"), WIDE])
def pipe(request: pytest.FixtureRequest) -> Any:
    return small_pipeline(request.param)


@pytest.mark.parametrize(
    ("family", "matrices", "rows"), [("sd1", 32, 24_960), ("sd2", 32, 24_960), ("sdxl", 140, 166_400)]
)
def test_the_real_configuration_has_these_projections(family: str, matrices: int, rows: int) -> None:
    unet = real_unet(family)
    parameters = dict(unet.named_parameters())
    shapes = [tuple(parameters[name].shape) for name in projection_names(unet)]
    width, _, blocks = SHAPES[family]  # the benchmark times these very shapes
    assert len(shapes) == matrices
    assert sum(d_out for d_out, _ in shapes) == rows
    assert {d for _, d in shapes} == {width}
    assert {d_out: 2 * number for d_out, number in blocks.items()} == {
        d: sum(d_out == d for d_out, _ in shapes) for d in blocks
    }


#: families whose edit does not depend on how many layers there are
SHALLOW: dict[str, dict[str, int]] = {
    "sd3": {"num_layers": 1},
    "flux": {"num_layers": 1, "num_single_layers": 1},
    "qwen-image": {"num_layers": 1},
}


@pytest.mark.parametrize("family", REAL)
def test_the_real_transformer_has_these_layers(family: str) -> None:
    net = real_transformer(family, **SHALLOW.get(family, {}))
    shapes = [tuple(dict(net.named_parameters())[name].shape) for name in projection_names(net)]
    readings = readings_of(family)
    timed = [(d_out, each.width) for each in readings for d_out in each.rows * each.times]
    assert sorted(shapes) == sorted(timed)


@torch.no_grad()
def test_text_is_read_as_the_pipeline_reads_it(pipe: Any) -> None:
    ours = encode(pipe, ["cat", "a picture of a red car"]).hidden
    for i, prompt in enumerate(("cat", "a picture of a red car")):
        theirs = pipe.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)[0]
        assert torch.allclose(ours[i], theirs[0].float(), atol=1e-5)


def test_an_edit_goes_in_changes_pictures_and_comes_out(pipe: Any) -> None:
    patch = scapre.erase(pipe, ["cat", "dog"], retained=["sun", "boat"], progress=False)
    before, print_before = sample(pipe, ["cat"], [1], steps=2, progress=False), fingerprint(pipe.unet.state_dict())
    with patch.applied(pipe):
        after = sample(pipe, ["cat"], [1], steps=2, progress=False)
    assert before.shape == (1, 32, 32, 3)
    assert (before.int() - after.int()).abs().max() > 0
    assert fingerprint(pipe.unet.state_dict()) == print_before
    assert sum(row["residual"] for row in patch.diagnostics.values()) / len(patch.diagnostics) < 0.9


@pytest.mark.slow
@torch.no_grad()
def test_sdxl_keeps_its_pooled_path(tmp_path: Path) -> None:
    pipe = small_pipeline("sdxl")
    patch = scapre.erase(pipe, ["cat"], progress=False)
    assert not [name for name in patch.edited if "add_embedding" in name]
    export(patch, tmp_path / "shared", "lora", rank=1)
    assert "`add_embedding`; the edit leaves that path" in (tmp_path / "shared" / "README.md").read_text()
    seen = {}
    for name in ("cat", "dog"):
        hidden, _, pooled, _ = pipe.encode_prompt(name, device="cpu", do_classifier_free_guidance=False)
        seen[name] = hidden, pooled
    latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    same = {"time_ids": torch.zeros(1, 6)}
    with patch.applied(pipe):
        # the same sequence of features, only the pooled vector differs
        cat, dog = (
            pipe.unet(latent, 10, seen["dog"][0], added_cond_kwargs=same | {"text_embeds": seen[name][1]}).sample
            for name in ("cat", "dog")
        )
    assert (cat - dog).abs().max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    pipe = small_pipeline(family, dtype=dtype)
    before = fingerprint(pipe.unet.state_dict())
    patch = scapre.erase(pipe, ["cat"], retained=["dog"], progress=False)
    assert {w.dtype for w in patch.edited.values()} == {dtype}
    loaded = scapre.Patch.load(patch.save(tmp_path / "cat.safetensors"))
    with loaded.applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
    assert fingerprint(pipe.unet.state_dict()) == before
    table = export(patch, tmp_path / "shared", "dora", tolerance=1e-2)
    assert table is not None
    # factors are rounded to the model's type, so no error is below its unit round-off over the drift
    drift = min(row["drift"] for row in patch.diagnostics.values())
    assert table["error"].max() <= 1e-2 + 4 * torch.finfo(dtype).eps / drift


def test_variants_are_found_when_named(tmp_path: Path) -> None:
    small_pipeline("sd1", dtype=torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    pipe = scapre.load_pipeline(tmp_path / "half", dtype=torch.float16, variant="fp16")
    assert pipe.unet.dtype == torch.float16
    assert scapre.erase(pipe, ["cat"], progress=False).changed
    for other in (None, "bf16"):
        with pytest.raises((FileNotFoundError, ValueError), match=r"half.*come as variant fp16; name one"):
            scapre.load_pipeline(tmp_path / "half", variant=other)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            {"transformer": ["diffusers", "DiTTransformer2DModel"]},
            "where DiTTransformer2DModel reads text .* not known",
        ),
        ({"prior": ["diffusers", "PriorTransformer"]}, "no UNet and no transformer to edit"),
    ],
)
def test_an_unknown_kind_is_refused_before_anything_is_read(part: dict, words: str, tmp_path: Path) -> None:
    index = {"_class_name": "DiTPipeline", "vae": ["diffusers", "AutoencoderKL"], **part}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=f"DiTPipeline.*{words}.*; use Stable Diffusion 1.*PixArt"):
        scapre.load_pipeline(tmp_path)
