"""The one home of file places: every path is found from the repository root."""

from __future__ import annotations

import os
from pathlib import Path


def repository() -> Path:
    """Find the repository root: ``$SCAPRE_ROOT``, else the checkout this package lies in.

    Raises:
        FileNotFoundError: the package was installed without ``-e``, or the variable points elsewhere.
    """
    given = os.environ.get("SCAPRE_ROOT")
    root = Path(given) if given else Path(__file__).resolve().parents[2]
    if not (root / "environment.yml").is_file():
        raise FileNotFoundError(
            f"{root} is not the scapre repository; install with `pip install -e ./lib` "
            "or set SCAPRE_ROOT to your checkout"
        )
    return root


def data_folder() -> Path:
    """Return ``data/`` of the repository."""
    return repository() / "data"


def model_folder() -> Path:
    """Return the shipped pipeline, ``data/models/emoji-sd``."""
    return data_folder() / "models" / "emoji-sd"


def judge_folder() -> Path:
    """Return the shipped judges, ``data/models/judges``."""
    return data_folder() / "models" / "judges"


def dit_folder() -> Path:
    """Return the shipped transformer pipeline, ``data/models/emoji-dit``."""
    return data_folder() / "models" / "emoji-dit"


def control_folder() -> Path:
    """Return the denoiser that never saw the concepts of ``unseen.csv``, ``data/models/control``."""
    return data_folder() / "models" / "control"
