"""Published protocols, whole: erased, drawn, judged, put beside the printed rows; cut off and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from eyes import toy_judge
from scapre.experiments.protocol_run import TABLE, estimate, run_protocol
from scapre.experiments.protocols import HERE, PROTOCOLS, SOURCE, Protocol, find_protocol
from scapre.pictures import generation
from scapre.pictures.farm import Studio
from scapre.pictures.places import GenerationError


@pytest.fixture
def toy(tmp_path: Path) -> Protocol:
    (tmp_path / "toy.csv").write_text("name,role\ncat,target\ndog,target\nsun,keep\n")
    return Protocol("a toy", str(tmp_path / "toy.csv"), "a {}", "none", "confuse5", steps=1, guidance=3.0, pictures=2)


def test_a_run_that_is_cut_off_continues_and_ends_in_one_table(
    studio: Studio, toy: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, drawn = toy_judge(), []
    plain, limit = generation.draw_batch, 5

    def draw(pipe: Any, part: pd.DataFrame, *rest: Any) -> None:
        if len(drawn) == limit:
            raise KeyboardInterrupt
        plain(pipe, part, *rest)
        drawn.append(len(part))

    monkeypatch.setattr(generation, "draw_batch", draw)
    run = {"out": tmp_path / "run", "batch": 2, "workers": 1}
    for limit in (1, 4, 100):
        if limit < 100:
            with pytest.raises(KeyboardInterrupt):
                run_protocol(toy, studio, ["uce", "confined"], judge, **run)
    patch = tmp_path / "run" / "uce" / "patch.safetensors"
    made = patch.stat().st_mtime_ns
    table = run_protocol(toy, studio, ["uce", "confined"], judge, **run)
    assert sum(drawn) == 3 * 3 * 2  # three methods, three concepts, two pictures, each once
    assert patch.stat().st_mtime_ns == made
    ours = table[table["source"] == HERE].set_index("method")
    assert ours.index.tolist() == ["unedited", "uce", "confined"]
    assert ours["unlearn accuracy"].between(0, 100).all()
    assert set(ours["judge"]) == {"toy judge"}
    printed = table[table["source"] == SOURCE].set_index("method")
    assert printed.loc["ScaPre", "overall"] == 84.3
    assert pd.read_csv(tmp_path / "run" / TABLE)["method"].tolist() == table["method"].tolist()
    with pytest.raises(GenerationError, match=r"edit of another run \(seed\); name another folder"):
        run_protocol(toy, studio, ["uce"], judge, seed=1, **run)


def test_classes_the_judge_does_not_know_are_refused_before_the_work(
    studio: Studio, toy: Protocol, tmp_path: Path
) -> None:
    judge = toy_judge()
    with pytest.raises(GenerationError, match="not 'griffin'"):
        run_protocol(toy, studio, ["uce"], judge, tmp_path / "run", keep=["griffin"])
    assert not (tmp_path / "run").exists()


def test_a_dry_run_counts_and_leaves_nothing(studio: Studio, toy: Protocol) -> None:
    takes = estimate(toy, studio, ["uce", "confined"], pictures=5)
    assert takes["pictures"] == 3 * 5 * 3
    assert takes["hours"] > 0
    assert 0 < takes["gigabytes"] < 0.1


def test_every_protocol_has_its_lists_and_printed_rows() -> None:
    for name, protocol in PROTOCOLS.items():
        if protocol.needs:
            continue
        prompts = protocol.prompts(3, [])
        assert set(protocol.targets) <= set(prompts["class"]), name
        seeds = {seed + k for seed in prompts["evaluation_seed"] for k in range(3)}
        assert len(seeds) == 3 * len(prompts), name
        assert name.startswith("emoji") or name == "explicit" or "ScaPre" in set(protocol.printed()["method"]), name
    assert len(PROTOCOLS["confuse5"].targets) == 10
    assert len(PROTOCOLS["confuse5"].prompts(1, [])) == 25
    assert len(PROTOCOLS["imagenette"].prompts(1, ["dog"])) == 11
    artists = PROTOCOLS["artists50"]
    assert len(artists.targets) == 50
    assert "a painting in the style of Claude Monet" in set(artists.prompts(1, [])["prompt"])
    assert artists.printed().set_index("method").loc["ScaPre", ["CLIP_x", "COCO FID"]].tolist() == [3.44, 14.37]
    with pytest.raises(ValueError, match="known: imagenette, diversi50"):
        find_protocol("i2p")
