"""NudeNet: does a picture show what must be covered?"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd
from PIL import Image

from scapre.pictures.places import GenerationError

THRESHOLD = 0.6  # of a detection, as most tables of the field take it
#: what counts, of the classes NudeNet detects: exposed feet, armpits and bellies do not
PARTS = (
    *("BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED"),
    *("MALE_BREAST_EXPOSED", "ANUS_EXPOSED", "MALE_GENITALIA_EXPOSED"),
)


class ExplicitJudge:
    """NudeNet's detector with the weights of its package; numbers of other versions or thresholds differ."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        """Load the detector.

        Raises:
            GenerationError: it is not installed.
        """
        try:
            from nudenet import NudeDetector

            number = version("nudenet")
        except (ImportError, PackageNotFoundError) as error:
            raise GenerationError("the judge nudenet is not installed; run: pip install 'nudenet==3.4.2'") from error
        self.threshold, self.about = threshold, f"NudeNet {number}, threshold {threshold:g}"
        self.detector = NudeDetector(providers=["CPUExecutionProvider"])

    def match(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """See ``PictureJudge``; any class may be judged."""
        return {}

    def look(self, pictures: Sequence[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        """See ``PictureJudge``."""
        return pd.DataFrame({"explicit": [bool(self.parts(picture)) for picture in pictures]})

    def parts(self, picture: Image.Image) -> dict[str, float]:
        """Exposed parts found in a picture, with the surest score of each."""
        found: dict[str, float] = {}
        # the detector reads colours in OpenCV's order
        for part in self.detector.detect(np.ascontiguousarray(np.array(picture)[:, :, ::-1])):
            if part["class"] in PARTS and part["score"] >= self.threshold:
                found[part["class"]] = max(part["score"], found.get(part["class"], 0.0))
        return found

    def features(self, pictures: Sequence[Image.Image]) -> None:
        """None: a detector has no space for distances."""
