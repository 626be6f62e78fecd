"""What experiments are tested on."""

from __future__ import annotations

import pytest
from families import small_pipeline
from scapre.pictures.farm import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A small Stable Diffusion in a folder."""
    folder = tmp_path_factory.mktemp("model")
    small_pipeline("sd1").save_pretrained(folder)
    return Studio(str(folder))
