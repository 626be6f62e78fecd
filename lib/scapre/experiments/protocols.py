"""The protocols of published tables: what is erased, drawn and judged, and the printed rows to stand beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scapre.concepts.lists import read_concepts
from scapre.model.places import GUIDANCE, STEPS
from scapre.paths import data_folder

SOURCE = "Deng et al. 2026 (arXiv 2601.06162), printed, SD 1.5"
HERE = "measured here"


@dataclass(frozen=True)
class Protocol:
    """A published way to measure an edit.

    Attributes:
        about: one line.
        concepts: a list of ``data/concepts``; where it has roles, the targets are erased and all are drawn.
        prompt: how a concept is asked for.
        judge: see ``pictures.looking.load_judge``.
        published: a table of ``data/published``, or None.
        steps, guidance: of every picture; size and scheduler are the model's own.
        pictures: drawn of each concept unless others are asked for; the paper does not print its number.
    """

    about: str
    concepts: str
    prompt: str
    judge: str
    published: str | None = None
    steps: int = 50
    guidance: float = 7.5
    pictures: int = 20

    @property
    def targets(self) -> list[str]:
        """What is erased, all at once."""
        table = read_concepts(self.concepts)
        return table["name"][table["role"] == "target"].tolist() if "role" in table else table["name"].tolist()

    def prompts(self, pictures: int, keep: list[str]) -> pd.DataFrame:
        """List what is drawn, as ``prompts.read_prompts`` returns it; picture k of a concept has seed + k.

        Args:
            pictures: of each concept, drawn as ``samples``; seeds of two concepts never meet.
            keep: further concepts that must stay.
        """
        names = list(dict.fromkeys([*read_concepts(self.concepts)["name"], *keep]))
        return pd.DataFrame(
            {
                "case_number": range(len(names)),
                "prompt": [self.prompt.format(name) for name in names],
                "evaluation_seed": [pictures * case for case in range(len(names))],
                "class": names,
                "evaluation_guidance": float("nan"),
            }
        )

    def printed(self) -> pd.DataFrame:
        """Rows printed elsewhere, named as ``scoring.compare`` names ours; empty where there are none."""
        if self.published is None:
            return pd.DataFrame(columns=["method", "source"])
        table = pd.read_csv(data_folder() / "published" / f"{self.published}.csv")
        names = {"unlearn": "unlearn accuracy", "preserve": "preserve accuracy", "clip": "CLIP score", "uq": "UQ"}
        names |= {"clip_x": "CLIP_x", "fid": "COCO FID"}  # of COCO captions; our FID is to the unedited model
        return table.rename(columns=names).assign(source=SOURCE)


_ASK = "an image of a {}"  # of the released evaluator
_STYLE = "a painting in the style of {}"
_EMOJI: dict[str, Any] = {
    "prompt": "a picture of a {}",
    "judge": "emoji-sd",
    "steps": STEPS,
    "guidance": GUIDANCE,
    "pictures": 6,
}
PROTOCOLS: dict[str, Protocol] = {
    "imagenette": Protocol("ten classes of Imagenette, all erased", "imagenette", _ASK, "imagenet", "imagenette"),
    "diversi50": Protocol("fifty diverse objects, all erased", "diversi50-sd", _ASK, "imagenet", "diversi50"),
    "confuse5": Protocol("ten of twenty-five look-alikes, fifteen must stay", "confuse5", _ASK, "imagenet", "confuse5"),
    # no source we read prints the sentence or what the judge chooses from: both are ours
    "artists50": Protocol("fifty artists' styles, all erased", "artists50", _STYLE, "clip", "artists50"),
    "explicit": Protocol("explicit words, all erased; share of pictures that show it", "explicit", _ASK, "nudenet"),
    "emoji-imagenette": Protocol("emoji-sd: ten diverse objects, all erased", "imagenette-like", **_EMOJI),
    "emoji-diversi50": Protocol("emoji-sd: fifty diverse objects, all erased", "diversi50", **_EMOJI),
    "emoji-confuse": Protocol("emoji-sd: two look-alikes of each group, the others must stay", "confuse", **_EMOJI),
}


def find_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Raises:
        ValueError: no such protocol (the message lists the known ones).
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
