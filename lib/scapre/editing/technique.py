"""Plug into the eval-unlearn benchmark: the entry point ``scapre`` of ``eval_unlearn.techniques``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from scapre.concepts.names import same_name, split_names
from scapre.editing.erase import erase
from scapre.model.backbones import load_pipeline
from scapre.model.sampling import sample
from scapre.patch.patch import Patch


class ScapreTechnique:
    """A model with concepts erased, as the benchmark asks for it.

    Args:
        model_id: diffusers folder or hub id.
        erase_concept: names to erase, separated by commas.
        patch: a patch file to apply instead of computing an edit; ``erase_concept`` then only says
            what it erases.
        anchors, retained, method, templates, seed, settings: see ``scapre.erase``.
        device: None: cuda where there is one.
        dtype: name of a floating torch type.
        num_inference_steps, guidance_scale: of every picture unless ``generate`` is told otherwise.
        batch: pictures at once.

    Raises:
        ValueError: neither concepts nor a patch, or concepts that the patch does not erase.
        PatchError: the patch does not fit the model.
    """

    def __init__(
        self,
        model_id: str,
        erase_concept: str = "",
        patch: str | None = None,
        anchors: str | Sequence[str] | None = None,
        retained: Sequence[str] = (),
        method: str | None = None,
        templates: str | None = None,
        seed: int = 0,
        settings: Mapping[str, float | int | bool | str] | None = None,
        device: str | None = None,
        dtype: str = "float32",
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        batch: int = 8,
    ) -> None:
        targets = split_names(erase_concept)
        if not targets and patch is None:
            raise ValueError("name the concepts to erase in erase_concept, or a patch file in patch")
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        kind: Any = getattr(torch, dtype, dtype)  # load_pipeline refuses what is no type
        self.pipe = load_pipeline(model_id, device=place, dtype=kind)
        self.steps, self.guidance, self.batch = num_inference_steps, guidance_scale, batch
        if patch is not None:
            made = Patch.load(patch)
            erased = set(map(same_name, made.provenance["targets"]))
            if other := [name for name in targets if same_name(name) not in erased]:
                raise ValueError(f"{patch} does not erase {', '.join(other)}; correct erase_concept")
        else:
            made = erase(
                self.pipe,
                targets,
                anchors=anchors,
                retained=retained,
                method=method,
                templates=templates,
                seed=seed,
                progress=False,
                **dict(settings or {}),
            )
        made.apply(self.pipe)

    def generate(
        self,
        prompts: list[str],
        seed: int | None = None,
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> list[Image.Image]:
        """Draw one picture a prompt.

        Args:
            prompts: N sentences.
            seed: picture i starts from ``seed + i``; None: from a random number.
            num_inference_steps: None: as constructed.
            guidance_scale: None: as constructed.
        """
        first = int(torch.randint(2**31, ())) if seed is None else seed
        drawn = sample(
            self.pipe,
            prompts,
            [first + i for i in range(len(prompts))],
            steps=num_inference_steps or self.steps,
            guidance=self.guidance if guidance_scale is None else guidance_scale,
            batch=self.batch,
            progress=False,
        )
        return [Image.fromarray(picture.numpy()) for picture in drawn]
