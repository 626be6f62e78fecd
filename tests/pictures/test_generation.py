from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scapre
from PIL import Image
from scapre.concepts.prompts import read_prompts
from scapre.pictures import generation
from scapre.pictures.farm import Studio, generate_apart
from scapre.pictures.generation import generate
from scapre.pictures.looking import EmojiJudge, load_judge
from scapre.pictures.places import GenerationError
from scapre.pictures.scoring import score

STYLE = {"steps": 2, "guidance": 3.0, "progress": False}


@pytest.fixture(scope="module")
def pipe() -> Any:
    return scapre.load_pipeline()


@pytest.fixture(scope="module")
def judge() -> EmojiJudge:
    return load_judge()


@pytest.fixture
def prompts(tmp_path: Path) -> pd.DataFrame:
    rows = ["case_number,prompt,class,evaluation_seed"]
    rows += [
        f"{10 * i},a picture of a {name} in flat style,{name},{i}" for i, name in enumerate(("dog", "fox", "rose"))
    ]
    (tmp_path / "prompts.csv").write_text("\n".join(rows))
    return read_prompts(tmp_path / "prompts.csv")


def pictures(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for file in sorted(folder.glob("*.png")):
        with Image.open(file) as image:
            found[file.name] = np.array(image).astype(int)
    return found


def test_a_picture_does_not_depend_on_the_batch(pipe: Any, prompts: pd.DataFrame, tmp_path: Path) -> None:
    together = pictures(generate(pipe, prompts, tmp_path / "together", samples=2, batch=6, **STYLE))
    alone = pictures(generate(pipe, prompts, tmp_path / "alone", samples=2, batch=1, **STYLE))
    assert list(together) == ["0_0.png", "0_1.png", "10_0.png", "10_1.png", "20_0.png", "20_1.png"]
    for name, picture in together.items():
        assert abs(picture - alone[name]).max() <= 1  # convolutions add in another order
    assert abs(together["0_0.png"] - together["0_1.png"]).max() > 20


def test_interrupted_runs_resume(
    pipe: Any, prompts: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pictures(generate(pipe, prompts, tmp_path / "whole", batch=1, **STYLE))
    drawn, real = [], generation.sample

    def failing(*arguments: Any, **settings: Any) -> Any:
        if len(drawn) == 1:
            raise KeyboardInterrupt
        drawn.append(1)
        return real(*arguments, **settings)

    monkeypatch.setattr(generation, "sample", failing)
    with pytest.raises(KeyboardInterrupt):
        generate(pipe, prompts, tmp_path / "cut", batch=1, **STYLE)
    first = tmp_path / "cut" / "0_0.png"
    stamp = first.stat().st_mtime_ns
    monkeypatch.setattr(generation, "sample", real)
    rest = pictures(generate(pipe, prompts, tmp_path / "cut", batch=1, **STYLE))
    assert first.stat().st_mtime_ns == stamp
    assert rest.keys() == whole.keys()
    assert all((rest[name] == whole[name]).all() for name in whole)
    for change in ({"steps": 3}, {"guidance": 2.0}):
        with pytest.raises(GenerationError, match="other prompts or settings"):
            generate(pipe, prompts, tmp_path / "cut", **(STYLE | change))
    with pytest.raises(GenerationError, match=r"prompts.csv"):
        generate(pipe, prompts.iloc[:2], tmp_path / "cut", **STYLE)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        generate(pipe, prompts, tmp_path / "cut", batch=0, **STYLE)


def test_own_guidance_is_used(pipe: Any, prompts: pd.DataFrame, tmp_path: Path) -> None:
    own = prompts.assign(evaluation_guidance=[1.0, float("nan"), 3.0])
    plain = pictures(generate(pipe, prompts, tmp_path / "plain", **STYLE))
    mixed = pictures(generate(pipe, own, tmp_path / "mixed", **STYLE))
    assert abs(plain["0_0.png"] - mixed["0_0.png"]).max() > 5
    assert abs(plain["10_0.png"] - mixed["10_0.png"]).max() <= 1


def test_scores_tell_targets_from_the_rest(pipe: Any, judge: EmojiJudge, prompts: pd.DataFrame, tmp_path: Path) -> None:
    patch = scapre.erase(pipe, ["dog"], retained=["fox", "rose"], progress=False)
    settings = {"steps": 12, "guidance": 3.0, "progress": False, "samples": 2}
    plain = score(generate(pipe, prompts, tmp_path / "before", **settings), judge)
    with patch.applied(pipe):
        folder = generate(pipe, prompts, tmp_path / "after", patch=patch, **settings)
    table = score(folder, judge).set_index("metric")
    assert plain["metric"].tolist() == ["preserve accuracy", "CLIP score"]
    assert table.loc["unlearn accuracy", "value"] < 50 < table.loc["preserve accuracy", "value"]
    assert table.loc["preserve accuracy", "pictures"] == 4
    assert table.loc["overall", "value"] > 50
    assert pd.read_csv(folder / "scores.csv")["metric"].tolist() == table.index.tolist()


def test_folders_that_cannot_be_judged(pipe: Any, judge: EmojiJudge, prompts: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"no generation.json"):
        score(tmp_path, judge)
    folder = generate(pipe, prompts.assign(**{"class": "griffin"}), tmp_path / "odd", **STYLE)
    with pytest.raises(GenerationError, match=r"names only, not 'griffin'"):
        score(folder, judge)
    folder = generate(pipe, prompts, tmp_path / "good", **STYLE)
    file = folder / "10_0.png"
    Image.new("RGB", (8, 8)).save(file)
    with pytest.raises(GenerationError, match="another size"):
        score(folder, judge)
    file.write_bytes(b"\x89PNG")
    with pytest.raises(GenerationError, match="damaged"):
        score(folder, judge)
    file.unlink()
    with pytest.raises(GenerationError, match="1 of 3 pictures are missing"):
        score(folder, judge)


@pytest.mark.slow
def test_a_pool_draws_the_same_and_only_what_is_missing(pipe: Any, prompts: pd.DataFrame, tmp_path: Path) -> None:
    patch = scapre.erase(pipe, ["dog"], retained=["fox", "rose"], progress=False)
    studio = Studio("data/models/emoji-sd", patch=str(patch.save(tmp_path / "no-dog.safetensors")))
    options = {"steps": 2, "guidance": 3.0}
    with patch.applied(pipe):
        alone = pictures(generate(pipe, prompts, tmp_path / "alone", patch=patch, progress=False, **options))
    folder = tmp_path / "apart"
    apart = pictures(generate_apart(studio, prompts, folder, batch=1, workers=2, **options))
    assert list(apart) == list(alone)
    for name, picture in apart.items():
        assert np.abs(picture - alone[name]).max() <= 1
    (folder / "0_0.png").unlink()
    times = {f.name: f.stat().st_mtime_ns for f in folder.glob("*.png")}
    generate_apart(studio, prompts, folder, workers=1, **options)
    assert (folder / "0_0.png").is_file()
    assert {name: (folder / name).stat().st_mtime_ns for name in times} == times
    with pytest.raises(GenerationError, match="other prompts or settings"):
        generate_apart(replace(studio, strength=0.5), prompts, folder, **options)
