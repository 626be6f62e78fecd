"""The protocols of published tables: what is erased, drawn and judged, and the printed rows to stand beside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from scapre.concepts.lists import read_concepts
from scapre.concepts.prompts import read_captions, read_sided
from scapre.model.places import GUIDANCE, STEPS
from scapre.paths import data_folder

SOURCE = "Deng et al. 2026 (arXiv 2601.06162), printed, SD 1.5"
HERE = "measured here"
ALL = 10**9  # pictures: every row of a file


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
        needs: what is not shipped and must be brought, by option: where it is to be had.
        brought: the prompts of a file that was brought, in place of ``prompt``; see ``bring``.
        elsewhere: task of ``data/published/others.csv`` whose rows stand beside ours.
    """

    about: str
    concepts: str
    prompt: str
    judge: str
    published: str | None = None
    steps: int = 50
    guidance: float = 7.5
    pictures: int = 20
    needs: dict[str, str] = field(default_factory=dict)
    brought: pd.DataFrame | None = field(default=None, compare=False)
    elsewhere: str = ""

    def bring(self, *, captions: str | Path | None = None, listed: str | Path | None = None) -> Protocol:
        """Give the protocol what is not shipped.

        Args:
            captions: a file of ``prompts.read_captions``.
            listed: where captions are drawn, the concepts to erase (``lists.read_concepts``); otherwise a file of
                ``prompts.read_sided``.

        Raises:
            ValueError: something is missing (the message says where it is to be had), or not asked for.
            PromptError, ConceptError: a file cannot be used.
        """
        given = {"--captions": captions, "--list": listed}
        for option, where in self.needs.items():
            if given[option] is None:
                raise ValueError(f"give {option}: {where}")
        known = {*self.needs, *(["--list"] if "--captions" in self.needs else [])}
        if odd := [option for option, file in given.items() if file is not None and option not in known]:
            raise ValueError(f"this protocol has its own lists and takes no {odd[0]}")
        if captions is not None:
            found = replace(self, brought=read_captions(captions), concepts=str(listed or self.concepts))
            return replace(found, published=_table_of(found.concepts))
        return self if listed is None else replace(self, brought=read_sided(listed))

    @property
    def targets(self) -> list[str]:
        """What is erased, all at once."""
        if self.brought is not None and "erased" in self.brought:
            return self.brought["class"][self.brought["erased"]].drop_duplicates().tolist()
        table = read_concepts(self.concepts)
        return table["name"][table["role"] == "target"].tolist() if "role" in table else table["name"].tolist()

    def prompts(self, pictures: int, keep: list[str]) -> pd.DataFrame:
        """List what is drawn, as ``prompts.read_prompts`` returns it; picture k of a concept has seed + k.

        Args:
            pictures: of each concept, drawn as ``samples``; seeds of two concepts never meet. Of a file that was
                brought: its first so many rows of each concept, or so many captions, the same ones every time.
            keep: further concepts that must stay.
        """
        if self.brought is not None:
            if "erased" in self.brought:
                return (
                    self.brought.groupby("class", sort=False)
                    .head(pictures)
                    .drop(columns="erased")
                    .reset_index(drop=True)
                )
            few = min(pictures, len(self.brought))
            return self.brought.sample(few, random_state=0).sort_index().reset_index(drop=True)
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

    def samples(self, pictures: int) -> int:
        """Pictures a row of ``prompts``: a file that was brought has a row for each."""
        return pictures if self.brought is None else 1

    def printed(self) -> pd.DataFrame:
        """Rows printed elsewhere, named as ``scoring.compare`` names ours; empty where there are none."""
        if self.elsewhere:
            return _printed_elsewhere(self.elsewhere)
        if self.published is None:
            return pd.DataFrame(columns=["method", "source"])
        table = pd.read_csv(data_folder() / "published" / f"{self.published}.csv")
        names = {"unlearn": "unlearn accuracy", "preserve": "preserve accuracy", "clip": "CLIP score", "uq": "UQ"}
        names |= {"clip_x": "CLIP_x", "fid": "COCO FID"}  # of COCO captions; our FID is to the unedited model
        table = table.rename(columns=names).assign(source=SOURCE)
        if "--captions" in self.needs:  # of captions it is the CLIP score and the distance that compare
            table = table[[name for name in table if name in ("method", "source", "CLIP score", "CLIP_x", "COCO FID")]]
        return table


def _table_of(concepts: str) -> str | None:
    """The printed table of a list, or None."""
    return next((p.published for p in PROTOCOLS.values() if p.concepts == concepts and not p.needs), None)


def _printed_elsewhere(task: str) -> pd.DataFrame:
    """Rows of further papers: H is the harmonic mean that ``scoring.compare`` calls overall."""
    table = pd.read_csv(data_folder() / "published" / "others.csv", dtype={"arXiv": str})
    table = table[(table["task"] == task) & (table["measure"] == "H")]
    told = "printed by {} (arXiv {}), {} targets, read in the {}".format
    sources = [told(*row) for row in table[["printed in", "arXiv", "targets", "read as"]].itertuples(index=False)]
    return pd.DataFrame({"method": table["method"], "overall": table["value"], "source": sources})


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
    # no source we read prints steps, guidance or judge of captions; a row of the list is a picture
    "celebrities": Protocol(
        "people of a list that is brought: half are erased, half must stay",
        "",
        "",
        "giphy",
        elsewhere="celebrities",
        pictures=ALL,
        needs={
            "--list": "no list of people is shipped; take a table id,type,text,concept,seed, type erase or retain, as "
            "SPEED's for its hundred (github.com/Ouxiang-Li/SPEED, data/) or one of your own"
        },
    ),
    "coco": Protocol(
        "captions that name none of the erased: what an edit costs everything else",
        "imagenette",
        "",
        "clip",
        "imagenette",
        pictures=30_000,
        needs={
            "--captions": "COCO's are not shipped; take captions_val2014.json of annotations_trainval2014.zip "
            "(cocodataset.org/#download), or a table with a column caption"
        },
    ),
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
