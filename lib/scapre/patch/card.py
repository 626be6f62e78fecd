"""The model card of an exported edit: what was erased, how, from which model, and what it does not stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from scapre.model.families import FAMILIES
from scapre.model.fingerprint import fingerprint
from scapre.model.weights import DENOISERS, part_of
from scapre.patch.naming import SDXL_WIDTH
from scapre.patch.patch import Patch

#: how each form is loaded; FOLDER is the exported folder
LOADING = {
    "lora": "pipe.load_lora_weights('FOLDER')  # needs peft",
    "dora": "pipe.load_lora_weights('FOLDER')  # needs peft",
    "webui": "pipe.load_lora_weights('FOLDER', weight_name='scapre-webui.safetensors')  # or copied to models/Lora",
    "pipeline": "pipe = diffusers.DiffusionPipeline.from_pretrained('FOLDER')",
}
#: of a transformer whose pipeline loads no adapter
PEFT = "pipe.transformer = peft.PeftModel.from_pretrained(pipe.transformer, 'FOLDER')"
#: which programs load a form; who uses another one would draw the concepts as before and not be told
READERS = {
    "patch": "diffusers, and tools that read UCE's or ESD's files. A1111, Forge and ComfyUI load none of it: use "
    "form `webui`.",
    "lora": "diffusers with peft. A1111, Forge and ComfyUI find none of its names and say nothing, so the concepts "
    "stay: use form `webui`.",
    "dora": "diffusers with peft. A1111, Forge and ComfyUI find none of its names and say nothing, so the concepts "
    "stay: use form `webui`.",
    "webui": "A1111 and Forge (`models/Lora`, at weight 1), ComfyUI (`models/loras`, strength 1), diffusers with "
    "peft. At another weight the edit is a part of itself.",
    "pipeline": "diffusers. Programs that read one-file checkpoints need it converted first.",
}
IN_TRANSFORMERS = (
    "diffusers, adapters with peft. Programs that look for other names find none of these and say nothing, so the "
    "concepts stay."
)
CLIP_SKIP = (
    "The edit was computed on the layer of the text encoder that the model reads by default. Drawn with `clip_skip`, "
    "names have other features, and what was erased may come through."
)
BYPASSES = (
    "Image prompts (IP-Adapter) and personalised tokens (Custom Diffusion) bring their own key and value projections, "
    "which no edit of `to_k` and `to_v` touches.",
    "Learned embeddings (textual inversion), inverted latents and image-to-image start from something other than the "
    "names that were erased.",
    "Fine-tuning, also for another purpose, can bring erased concepts back.",
    "Synonyms, other languages and descriptions reach a concept by words that were not among the targets.",
    "An edit hides a concept from the text path; it does not remove what the convolutions and self-attention learned.",
)
FOREIGN = (
    "A part of this edit lies in the text encoder: whoever loads another text encoder is left with the UNet's part, "
    "which forgets a few concepts and not many."
)
UNDOABLE = (
    "The base model together with this file tells which weights changed and undoes the edit exactly; where that "
    "matters, publish the pipeline form and not the base model."
)
POOLED = "SDXL also reads the pooled text through `add_embedding`; the edit leaves that path as it was."


def base_licence(folder: str | Path) -> str | None:
    """Read the licence in the card of a model folder; None when it names none."""
    card = Path(folder) / "README.md"
    return ModelCard.load(card).data.license if card.is_file() else None


def card_text(
    patch: Patch,
    form: str,
    *,
    base_model: str | None = None,
    licence: str | None = None,
    metrics: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
) -> str:
    """Write the card.

    Args:
        patch: the edit.
        form: ``patch`` or a key of ``LOADING``.
        base_model: hub id or name of the base; None: the name the patch remembers.
        licence: of the base model, which governs the edited one too; None: unknown.
        metrics: columns ``metric, value`` (``scapre score``).
        errors: columns ``projection, rank, error`` of an adapter.
    """
    base = base_model or patch.provenance["model"]
    count = len(patch.provenance["targets"])
    data = _metadata(base, form, licence, metrics)
    drift = pd.DataFrame(patch.diagnostics).T
    columns = [c for c in ("drift", "retained_drift", "residual") if c in drift]
    shown = drift[columns].agg(["mean", "max"]) if columns else drift
    bypasses = [*BYPASSES, *([] if form == "pipeline" else [UNDOABLE])]
    family = FAMILIES.get(patch.provenance.get("denoiser", ""))
    bypasses += [CLIP_SKIP] if family is None else [line for line in (family.side, family.note) if line]
    projections = (w for name, w in patch.changed.items() if name.endswith(("to_k.weight", "to_v.weight")))
    if family is None and any(w.shape[1] == SDXL_WIDTH for w in projections):
        bypasses.append(POOLED)
    counts = pd.Series([part_of(name)[0] for name in patch.changed], dtype=str).value_counts()
    if set(counts.index) - set(DENOISERS):
        bypasses.append(FOREIGN)
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {base} without {count} concept{'s' if count > 1 else ''}",
        f"Edited by scapre: {', '.join(f'{n} weights of {part}' for part, n in counts.items())}; nothing else changed.",
        _loading(form, list(counts.index), PEFT if without_loader(patch.provenance) else None),
        f"**Loaded by** {READERS[form] if family is None else IN_TRANSFORMERS}",
        "## What and how",
        _facts(patch).to_frame("value").to_markdown(),
        "## How far the weights moved",
        shown.to_markdown(floatfmt=".4f"),
        "Relative to the original weights, mean and maximum over matrices; `residual` 0 means that targets answer "
        "exactly as their anchors.",
    ]
    if errors is not None:
        cost = {"largest rank": errors["rank"].max(), "largest share of an edit lost": f"{errors['error'].max():.1e}"}
        parts += ["## What this form costs", pd.Series(cost).to_frame("value").to_markdown()]
    parts += ["## Measured"]
    parts += ["Nothing was measured on pictures." if metrics is None else metrics.to_markdown(index=False)]
    parts += ["## Known ways around it", "\n".join(f"- {line}" for line in bypasses)]
    governed = f"`{licence}`" if licence else "unknown here: look it up before you share this"
    parts += ["## Licence", f"The base model's licence governs the edited weights: {governed}."]
    return "\n\n".join(parts) + "\n"


def without_loader(provenance: Mapping[str, Any]) -> bool:
    """Whether adapters of the edited model are loaded by peft, not by its pipeline."""
    family = FAMILIES.get(provenance.get("denoiser", ""))
    return family is not None and not family.loads


def _loading(form: str, parts: Sequence[str], peft: str | None) -> str:
    """How the exported folder is loaded; a plain patch is read by each part it edits."""
    lines = [LOADING.get(form, "state = safetensors.torch.load_file('FOLDER/patch.safetensors')")]
    if peft is not None and form in ("lora", "dora"):
        lines = [peft]
    if form == "patch":
        for part in parts:
            own = "state" if part in DENOISERS else f"{{k.removeprefix('{part}.'): w for k, w in state.items()}}"
            lines.append(f"pipe.{part}.load_state_dict({own}, strict=False)")
    return "\n".join(f"    {line}" for line in lines)


def _metadata(base: str, form: str, licence: str | None, metrics: pd.DataFrame | None) -> ModelCardData:
    """What a hub reads of the card."""
    rows = [] if metrics is None else list(zip(metrics["metric"], metrics["value"], strict=True))
    results = [
        EvalResult("text-to-image", "prompts", "prompts of scapre score", m, round(float(v), 4)) for m, v in rows
    ]
    return ModelCardData(
        license=licence or "other",
        library_name="diffusers",
        pipeline_tag="text-to-image",
        tags=["concept-erasure", "unlearning", "scapre"],
        base_model=base,
        base_model_relation="finetune" if form == "pipeline" else "adapter",
        model_name=f"{base}, edited" if results else None,
        eval_results=results or None,
    )


def _facts(patch: Patch) -> pd.Series:
    """What was erased, how, and with what."""
    about = patch.provenance
    further = [word for words in about.get("words", {}).values() for word in words]
    facts = {
        "targets": ", ".join(about["targets"]),
        "other words for them": ", ".join(further) or "none",
        "anchors": ", ".join(repr(a) for a in dict.fromkeys(about["anchors"])),
        "kept in the objective or the diagnostics": ", ".join(about["retained"]) or "none named",
        "sentences": about["templates"],
        "method": about["method"],
        "settings": ", ".join(f"{k} {v}" for k, v in about["settings"].items()),
        "seed": about["seed"],
        "strength": about.get("strength", 1.0),
        "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
        "SHA-256 of the edit": fingerprint(patch.changed),
        "matrices changed": len(patch.changed),
    }
    return pd.Series(facts)
