from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scapre
from PIL import Image
from scapre.concepts import emoji
from scapre.concepts.lists import concept_files, read_concepts
from scapre.concepts.names import known
from scapre.concepts.npm import fetch_package


def test_load_emoji_is_concepts_times_styles() -> None:
    images, concepts, styles = scapre.load_emoji()
    assert images.shape == (len(concepts) * len(styles), 64, 64, 3)
    assert images.dtype == np.uint8
    assert len(concepts) == len(set(concepts)) >= 256
    assert len(styles) >= 6
    # style varies fastest: ink is black on white whatever the object
    ink = images[styles.index("ink") :: len(styles)].astype(int)
    flat = images[styles.index("flat") :: len(styles)].astype(int)
    assert (ink.max(-1) - ink.min(-1)).max() == 0 < (flat.max(-1) - flat.min(-1)).max()
    small = scapre.load_emoji(32)[0]
    exact = images.reshape(len(images), 32, 2, 32, 2, 3).astype(float).mean((2, 4))
    assert np.abs(small - exact).max() <= 1  # Pillow rounds each axis


def test_concept_files_hold_together() -> None:
    table = read_concepts("emoji")
    names = table["name"].tolist()
    assert scapre.load_emoji(32)[1] == names
    assert set(table["category"]) <= {"animals-nature", "food-drink", "travel-places", "activities", "objects"}
    aliases = [a for more in table["aliases"] for a in more.split("|") if a]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(names)
    for file in ("imagenette-like", "diversi50", "confuse", "restricted", "validation"):
        known(read_concepts(file)["name"], names)
    confuse = read_concepts("confuse")
    sizes = confuse.groupby(["group", "role"]).size().unstack()
    assert len(sizes) >= 8
    assert (sizes["target"] == 2).all()
    assert (sizes["keep"] == 3).all()
    assert set(read_concepts("styles")["name"]) == set(emoji.STYLES)
    lengths = {f: len(read_concepts(f)) for f in concept_files()}
    assert (lengths["imagenette"], lengths["diversi50-sd"], lengths["artists50"], lengths["confuse5"]) == (
        10,
        50,
        50,
        25,
    )
    published = set().union(
        *(read_concepts(f)["name"] for f in ("imagenette-like", "diversi50", "confuse", "restricted"))
    )
    assert not published & set(read_concepts("validation")["name"])


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed: it fetches the emoji sets")
def test_a_rebuilt_sample_equals_the_committed_pictures(tmp_path: Path) -> None:
    table = read_concepts("emoji").iloc[::40]
    images, concepts, styles = scapre.load_emoji()
    for style in ("ink", "twemoji"):
        package, version, _ = emoji.STYLES[style]
        icons = json.loads((fetch_package(package, version, tmp_path) / "icons.json").read_text())
        drawn = emoji.rasterise(style, table["slug"].tolist(), icons)
        for name, slug in zip(table["name"], table["slug"], strict=True):
            place = concepts.index(name) * len(styles) + styles.index(style)
            again = np.asarray(Image.open(io.BytesIO(drawn[slug])).convert("RGB"))
            assert (again == images[place]).all(), f"{name} in {style}"
