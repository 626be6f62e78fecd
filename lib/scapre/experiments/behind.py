"""What projections answer behind an edited text encoder, where the edit leaves the projections themselves alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from scapre.concepts.lists import sentences_of
from scapre.methods.solution import Read, Solution, diagnose
from scapre.model.projections import denoiser_of, read_projections
from scapre.patch.patch import Patch
from scapre.text.embeddings import encode_ends
from scapre.text.gathering import gather


def answers_behind(pipe: Any, patch: Patch) -> list[dict[str, Any]]:
    """Drift, residual and retained drift of every projection, as a solver's are told (``solution.diagnose``).

    Args:
        pipe: the base model.
        patch: edits text encoders alone; it is undone again.
    """
    about = patch.provenance
    named = {name: about[name] for name in ("anchors", "retained", "templates")}
    before, sentences = gather(pipe, about["targets"], **named), sentences_of(about["templates"])

    def now(names: Sequence[str]) -> Tensor:
        if not names:
            return before.retained
        prompts = [sentence.format(name) for name in names for sentence in sentences]
        return encode_ends(pipe, prompts).unflatten(0, (-1, len(sentences))).mean(1).double()

    with patch.applied(pipe):
        read = Read(now(about["targets"]), before.retained, now(about["retained"]))
    return [
        {"projection": name, **diagnose(weight.double(), Solution(weight.double()), before, read)}
        for name, weight in read_projections(denoiser_of(pipe)).items()
    ]
