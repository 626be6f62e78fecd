"""The emoji text–image set: concepts × styles, drawn by permissively licensed sets.

``build_emoji`` turns pinned npm tarballs into ``data/emoji/emoji.parquet``;
``load_emoji`` reads that file and needs neither npm nor the network.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from scapre.concepts.npm import fetch_package
from scapre.files import replacing
from scapre.paths import data_folder

#: style name → (npm package, version, licence). The order is the order of the array.
STYLES: dict[str, tuple[str, str, str]] = {
    "noto": ("@iconify-json/noto", "1.2.9", "Apache-2.0"),
    "fluent": ("@iconify-json/fluent-emoji", "1.2.7", "MIT"),
    "flat": ("@iconify-json/fluent-emoji-flat", "1.2.6", "MIT"),
    "ink": ("@iconify-json/fluent-emoji-high-contrast", "1.2.6", "MIT"),
    "twemoji": ("@iconify-json/twemoji", "1.2.5", "CC-BY-4.0"),
    "emojione": ("@iconify-json/emojione", "1.2.3", "CC-BY-4.0"),
}
TAGS = ("emojibase-data", "17.0.0", "MIT")
PIXELS = 64


def load_emoji(size: int = PIXELS) -> tuple[NDArray[np.uint8], list[str], list[str]]:
    """Read the committed emoji.

    Args:
        size: edge in pixels; a divisor of 64 is an exact box average.

    Returns:
        images uint8 ``(concepts · styles, size, size, 3)`` on white, style varying
        fastest; the concept names; the style names.

    Raises:
        FileNotFoundError: the parquet file is missing (the message says how to rebuild it).
        ValueError: the file is truncated or does not hold every concept in every style.
    """
    path = data_folder() / "emoji" / "emoji.parquet"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; rebuild it with `scapre build-data`")
    try:
        table = read_pictures(path)
    except Exception as error:
        raise ValueError(f"{path} cannot be read ({error}); restore it with git") from error
    concepts, styles = list(dict.fromkeys(table["concept"])), list(STYLES)
    wanted = [(c, s) for c in concepts for s in styles]
    if list(zip(table["concept"], table["style"], strict=True)) != wanted:
        raise ValueError(f"{path} does not hold {len(concepts)} concepts in {len(styles)} styles")
    images = np.stack([decode(png, size) for png in table["png"]])
    return images, concepts, styles


def decode(png: bytes, size: int | None = None) -> NDArray[np.uint8]:
    """Read PNG bytes as ``(H, W, 3)``, averaged to ``size`` pixels where one is given."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if size and size != image.width:
        image = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Write ``(H, W, 3)`` as PNG bytes."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", optimize=True)
    return out.getvalue()


def rasterise(style: str, slugs: list[str], icons: dict) -> dict[str, bytes]:
    """Draw ``slugs`` from one Iconify set on white, ``PIXELS`` wide, as PNG bytes."""
    import resvg_py  # only building needs it

    drawn = {}
    for slug in slugs:
        alias = icons.get("aliases", {}).get(slug, {})
        icon = icons["icons"][alias.get("parent", slug)]
        width = icon.get("width", icons.get("width", 16))
        height = icon.get("height", icons.get("height", 16))
        left, top = icon.get("left", 0), icon.get("top", 0)
        # The high-contrast set draws in the text colour: black here.
        body = icon["body"].replace("currentColor", "#000000")
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}" width="{PIXELS}" height="{PIXELS}">{body}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=PIXELS, height=PIXELS))
        picture = Image.open(io.BytesIO(png)).convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        page.alpha_composite(picture)
        drawn[slug] = encode_png(np.asarray(page.convert("RGB")))
    return drawn


def draw_all(slugs: list[str]) -> pd.DataFrame:
    """Fetch every set and draw ``slugs``: one row ``concept, style, png`` an image."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = {}
        for style, (package, version, _) in STYLES.items():
            icons = json.loads((fetch_package(package, version, Path(folder)) / "icons.json").read_text())
            drawn[style] = rasterise(style, slugs, icons)
    rows = [(slug.replace("-", " "), s, drawn[s][slug]) for slug in slugs for s in STYLES]
    return pd.DataFrame(rows, columns=["concept", "style", "png"])


def read_pictures(path: Path) -> pd.DataFrame:
    """Read a parquet file through Python's own ``open``, which the trail of a run sees (``scapre.trail``)."""
    return pd.read_parquet(io.BytesIO(path.read_bytes()))


def build_emoji() -> Path:
    """Rebuild ``data/emoji/emoji.parquet`` for the concepts of ``data/concepts/emoji.csv``."""
    slugs = pd.read_csv(data_folder() / "concepts" / "emoji.csv")["slug"].tolist()
    path = data_folder() / "emoji" / "emoji.parquet"
    with replacing(path) as partial:
        draw_all(slugs).to_parquet(partial, index=False, compression="zstd")
    return path
