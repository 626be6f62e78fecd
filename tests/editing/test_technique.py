"""The benchmark's own runner draws with our technique."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scapre
from scapre.editing.technique import ScapreTechnique
from scapre.paths import model_folder, repository

FAST: dict[str, Any] = {
    "model_id": str(model_folder()),
    "device": "cpu",
    "num_inference_steps": 2,
    "guidance_scale": 3.0,
}


def pixels(images: list[Any]) -> np.ndarray:
    return np.stack([np.array(image).astype(int) for image in images])


@pytest.fixture(scope="module")
def technique() -> ScapreTechnique:
    return ScapreTechnique(erase_concept="dog, lemon", retained=["cat"], settings={"ridge": 10.0}, **FAST)


def test_picture_i_has_seed_plus_i(technique: ScapreTechnique) -> None:
    both = pixels(technique.generate(["a fox", "a rose"], seed=5))
    second = pixels(technique.generate(["a rose"], seed=6))
    assert both.shape == (2, 32, 32, 3)
    assert abs(both[1] - second[0]).max() <= 1
    assert abs(pixels(technique.generate(["a rose"], seed=5))[0] - second[0]).max() > 5
    assert abs(pixels(technique.generate(["a rose"])) - pixels(technique.generate(["a rose"]))).max() > 5
    assert abs(pixels(technique.generate(["a rose"], seed=6, guidance_scale=1.0))[0] - second[0]).max() > 5


def test_a_patch_file_stands_for_its_edit(technique: ScapreTechnique, tmp_path: Path) -> None:
    pipe = scapre.load_pipeline()
    patch = scapre.erase(pipe, ["dog", "lemon"], retained=["cat"], ridge=10.0, progress=False)
    file = str(patch.save(tmp_path / "edit.safetensors"))
    other = ScapreTechnique(patch=file, erase_concept="dog", **FAST)
    assert (pixels(other.generate(["a dog"], seed=1)) == pixels(technique.generate(["a dog"], seed=1))).all()
    with pytest.raises(ValueError, match="does not erase cat"):
        ScapreTechnique(patch=file, erase_concept="cat", **FAST)
    with pytest.raises(ValueError, match="name the concepts"):
        ScapreTechnique(**FAST)


def test_the_benchmark_runs_it(tmp_path: Path) -> None:
    registry = pytest.importorskip("eval_unlearn.registry", reason="the extra [eval] is not installed")
    from eval_unlearn.runners.single_benchmark_runner import SingleBenchmarkRunner
    from eval_unlearn.types import Dataset, MetricResult

    project = tomllib.loads((repository() / "lib" / "pyproject.toml").read_text())["project"]
    entry = project["entry-points"]["eval_unlearn.techniques"]["scapre"]
    registry.register_technique("scapre")(EntryPoint("scapre", entry, "eval_unlearn.techniques").load())

    @registry.register_metric("brightness")
    class Brightness:
        values: list[float]

        def load_dataset(self) -> list[Dataset]:
            self.values = []
            return [Dataset(["a dog", "a fox"], {"source": "two prompts"})]

        def update(self, images: list[Any], prompts: list[str], metadata: dict) -> None:
            assert len(images) == len(prompts)
            self.values += [float(np.array(image).mean()) for image in images]

        def compute(self) -> MetricResult:
            return MetricResult("brightness", float(np.mean(self.values)))

    config = FAST | {"erase_concept": "dog"}
    report = SingleBenchmarkRunner("scapre", "brightness", config, output_dir=str(tmp_path), seed=3).run()
    assert report["erase_concept"] == "dog"
    direct = ScapreTechnique(**config).generate(["a dog", "a fox"], seed=3)
    assert report["metric_result"]["value"] == pytest.approx(pixels(direct).mean(), abs=0.01)
    assert len(list(tmp_path.rglob("*.png"))) == 2
