"""From names to a patch: gather statistics once, solve every projection."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts import TEMPLATES, check_concepts
from scapre.confined import confined_solver
from scapre.embeddings import Contexts, Encoded, encode, null_feature, pair_contexts
from scapre.patch import Patch
from scapre.projections import read_projections
from scapre.released import basic_solver, scale_solver
from scapre.ridge import ridge_solver
from scapre.solution import Solver, diagnose
from scapre.statistics import ConceptStatistics
from scapre.sylvester import paper_solver


@dataclass(frozen=True)
class Method:
    """A formulation: what it is, its settings with defaults, its solver, whether it draws noise."""

    about: str
    defaults: dict[str, float | int | bool]
    solver: Callable[..., Solver]
    draws: bool = False


_NOISE = {"noise_sigma": 0.01, "entropy_samples": 20, "entropy_bins": 20}
_GATE = {"gate_temperature": 1.0, "gate_power": 1.0}
METHODS: dict[str, Method] = {
    "scapre": Method(
        "ours: confined to the rows that know the concepts, exact information, optional retained concepts",
        {
            # chosen on the validation concepts: notebook 05
            "ridge": 20.0,
            "erase_scale": 1.0,
            "retain_scale": 0.05,
            "p": 1.0,
            "noise_sigma": 1.0,
            "use_mask": True,
            "bures_iters": 1,
            "alignment": 0.1,
        },
        confined_solver,
    ),
    "scapre-paper": Method(
        "the paper's equations: spectral trace regulariser, Sylvester solve, Bures geodesic",
        {"ridge": 0.5, "erase_scale": 1.0, "noise_sigma": 0.01, "geodesic_time": 0.1},
        paper_solver,
    ),
    "scapre-scale": Method(
        "released code, large tables: masked rows, row systems, Bures row step",
        {"ridge": 0.5, "erase_scale": 3.0, "p": 5.0, "use_mask": True, "bures_iters": 1, "spectral_gate": False}
        | _GATE
        | {"safety_valve": False}
        | _NOISE,
        scale_solver,
        draws=True,
    ),
    "scapre-basic": Method(
        "released code, Imagenette: masked ridge regression blended by row entropy",
        {"ridge": 0.5, "erase_scale": 1.0, "p": 2.0, "alpha_min": 0.8, "smooth_spectral": False} | _GATE | _NOISE,
        basic_solver,
        draws=True,
    ),
    "uce": Method(
        "unified concept editing: ridge regression at the last content token",
        {"ridge": 0.5, "erase_scale": 1.0, "retain_scale": 1.0},
        ridge_solver,
    ),
}


def methods() -> dict[str, str]:
    """List the formulations: name → one line."""
    return {name: method.about for name, method in METHODS.items()}


def gather(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] = " ",
    retained: Sequence[str] = (),
    templates: str = "name",
    progress: bool = False,
) -> ConceptStatistics:
    """Encode every prompt once and collect what the solvers need.

    Each concept is put into every sentence of ``templates``; its features are averaged
    and its contexts share its weight, so a richer set does not erase more strongly.

    Raises:
        ConceptError: lists that contradict each other.
        ValueError: unknown templates, or as many anchors as neither one nor the targets.
    """
    wanted, kept = check_concepts(targets, retained)
    if templates not in TEMPLATES:
        raise ValueError(f"unknown templates {templates!r}; known: {', '.join(TEMPLATES)}")
    sentences = TEMPLATES[templates]
    replacements = [anchors] if isinstance(anchors, str) else list(anchors)
    if len(replacements) not in (1, len(wanted)):
        raise ValueError(f"{len(replacements)} anchors for {len(wanted)} targets; give one, or one for each")
    unique = list(dict.fromkeys(replacements))
    owner = torch.tensor([unique.index(a) for a in replacements], device=pipe.device)
    owner = owner.expand(len(wanted)) if len(owner) == 1 else owner

    def say(names: Sequence[str]) -> Encoded:
        # A blank stays blank: " " in a sentence would anchor to the sentence's other words.
        return encode(pipe, [s.format(n) if n.strip() else n for n in names for s in sentences], progress=progress)

    share = len(sentences)
    erase, replace, null = say(wanted), say(unique), null_feature(pipe)
    sentence = torch.arange(share, device=pipe.device)
    anchor_of = (owner[:, None] * share + sentence).flatten()
    paired = pair_contexts(erase, replace, anchor_of)
    root = share**-0.5  # both sides of a pair, so every product of the two carries 1/share
    contexts = Contexts(paired.targets * root, paired.anchors * root, anchor_of)
    pooled = replace.features.unflatten(0, (-1, share)).mean(1)
    width = erase.hidden.shape[-1]
    kept_features, kept_contexts = erase.hidden.new_zeros(0, width), erase.hidden.new_zeros(0, 1, width)
    if kept:
        keep = say(kept)
        own = torch.arange(len(keep.last), device=pipe.device)
        kept_contexts = pair_contexts(keep, keep, own).targets * root
        kept_features = keep.features.unflatten(0, (-1, share)).mean(1)
    return ConceptStatistics(
        targets=erase.features.unflatten(0, (-1, share)).mean(1).double(),
        anchors=pooled[owner].double(),
        contexts=contexts,
        retained=kept_features.double(),
        kept=kept_contexts,
        null=null.double(),
    )


def erase(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] = " ",
    retained: Sequence[str] = (),
    method: str = "scapre",
    templates: str = "name",
    seed: int = 0,
    progress: bool = True,
    **settings: float | int | bool,
) -> Patch:
    """Compute the edit that makes a pipeline forget ``targets``; the pipeline is not changed.

    Every solve is float64; weights return in the model's type, so a float16 model loses
    its own rounding (2⁻¹¹ relative) and nothing more.

    Args:
        pipe: has ``unet``, ``text_encoder``, ``tokenizer`` and ``device``.
        targets: concepts to forget.
        anchors: what replaces them: one prompt, or one a target.
        retained: concepts to keep: in the objective of methods that have ``retain_scale``, in the
            diagnostics of all.
        method: a name of ``methods()``.
        templates: sentences every name is put into (``scapre.concepts.TEMPLATES``).
        seed: of the released formulations' random draws.
        progress: show a bar.
        **settings: see ``METHODS[method].defaults``.

    Raises:
        ConceptError: lists that are empty, repeat or contradict themselves.
        ValueError: unknown method, template or setting, or weights that are not finite.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    chosen = METHODS[method]
    unknown = sorted(set(settings) - set(chosen.defaults))
    if unknown:
        raise ValueError(f"{method} has no setting {', '.join(unknown)}; it knows {', '.join(chosen.defaults)}")
    values = chosen.defaults | settings
    if not values["ridge"] > 0:
        raise ValueError(f"ridge must be positive, got {values['ridge']}: it keeps the solution unique")
    originals = read_projections(pipe.unet)
    statistics = gather(pipe, targets, anchors=anchors, retained=retained, templates=templates, progress=progress)
    if not torch.isfinite(statistics.gram).all():
        raise ValueError("the text encoder returns NaN or infinity; load an intact model")
    stream = (torch.Generator().manual_seed(seed),) if chosen.draws else ()
    solver = chosen.solver(statistics, *stream, **values)
    edited: dict[str, Tensor] = {}
    facts: dict[str, dict[str, float]] = {}
    for name, original in tqdm(originals.items(), desc=f"{method}, {len(targets)} targets", disable=not progress):
        weight = original.double()
        solution = solver(weight)
        facts[name] = diagnose(weight, solution, statistics)
        edited[name] = torch.where(solution.weight == weight, original, solution.weight.to(original.dtype))
    provenance = {
        "method": method,
        "settings": values,
        "seed": seed,
        "targets": list(targets),
        "anchors": anchors if isinstance(anchors, str) else list(anchors),
        "retained": list(retained),
        "templates": templates,
        "model": Path(str(getattr(pipe, "name_or_path", "") or "unnamed")).name,
        "versions": {p: version(p) for p in ("scapre", "torch", "diffusers", "transformers")}
        | {"python": platform.python_version()},
    }
    return Patch(originals, edited, provenance, facts)
