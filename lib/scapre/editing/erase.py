"""From names to a patch: gather what is needed of the concepts once, then solve."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import torch

from scapre.concepts.lists import sentences_of
from scapre.concepts.names import as_names, spread
from scapre.concepts.styles import WORD, in_captions, odd_styles, other_styles, styles_of
from scapre.editing.guard import told
from scapre.editing.kept import Kept
from scapre.editing.memory import Memory
from scapre.editing.solve import check_stages, method_for, provenance_of, solve
from scapre.methods.method import Method
from scapre.methods.registry import complete, find_method
from scapre.methods.solution import Wish
from scapre.methods.values import check_seed
from scapre.model.projections import denoiser_of, projection_names, unet_of
from scapre.model.ready import check_ready
from scapre.model.weights import read_weights
from scapre.patch.patch import Patch
from scapre.text.embeddings import beyond_window
from scapre.text.gathering import check_names, nearest_names
from scapre.text.inner import places_of
from scapre.text.streams import gather_streams

log = logging.getLogger(__name__)


def erase(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = None,
    retained: Sequence[str] = (),
    method: str | None = None,
    templates: str | None = None,
    seed: int = 0,
    progress: bool = True,
    **settings: float | int | bool | str,
) -> Patch:
    """Compute the edit that makes a pipeline forget ``targets``; the pipeline is not changed.

    Every solve is float64; weights return in the model's type, so a float16 model loses
    its own rounding (2⁻¹¹ relative) and nothing more.

    Args:
        pipe: has ``unet``, ``text_encoder``, ``tokenizer`` and ``device``; or a pipeline with a transformer that is
            known (``scapre.model.families``).
        targets: concepts to forget.
        anchors: what replaces them: one prompt, or one a target. None leaves it to the method: a blank, or,
            for ``staged``, ``confined``, ``emcid-closed`` and erasers that train towards an anchor, the nearest
            retained concept of each target (nearly the same ones are passed over); without any, ``staged`` takes the
            nearest word of the text encoder's vocabulary. Choose a blank, ``" "``, where nothing alike may come
            through. CURE removes directions and reads no anchors. Known styles ("ink style", all targets) turn into
            the nearest other style in the same words (``scapre.concepts.styles``), unless anchors or templates say
            otherwise.
        retained: concepts to keep: read by ``staged``, ``confined`` and the peers, each in its way, and in the
            diagnostics of all; the paper's and the released formulations cannot be told.
        method: a name of ``methods()``; ``staged`` also edits the text encoder, ``confined`` the denoiser alone,
            ``emcid-closed`` the text encoder alone. None: ``staged`` for Stable Diffusion, ``confined`` for
            transformers, whose text encoders the other cannot edit.
        templates: sentences every name is put into (``scapre.concepts.lists.TEMPLATES``); None: those of the
            method, ``sentences`` for ours, the bare ``name`` for the others.
        seed: of all random draws: the released formulations, SPEED's noisy copies, every step of training.
        progress: show a bar.
        **settings: see ``scapre.methods.registry.METHODS[method].defaults``.

    Raises:
        ConceptError: lists that are empty, repeat or contradict themselves, names that are no text or too long
            (``scapre.text.gathering.check_names``), or a target that is its own anchor.
        ValueError: unknown method, template, setting or seed, a method that does not know this model, weights that
            are not finite, or settings at which the solution is not.
    """
    # mistakes are refused before prompts are encoded
    method = method_for(pipe, method)
    projection_names(denoiser_of(pipe), find_method(method).kinds)
    complete(method, settings)
    check_seed(seed)
    if find_method(method).whole:
        unet_of(pipe)
    if find_method(method).edit is not None:
        templates = templates or find_method(method).templates
        return _edit_whole(pipe, targets, anchors, retained, method, templates, seed, progress, settings)
    memory = remember(
        pipe, targets, anchors=anchors, retained=retained, method=method, templates=templates, progress=progress
    )
    return solve(pipe, memory, method=method, seed=seed, progress=progress, **settings)


def remember(
    pipe: Any,
    targets: Sequence[str],
    *,
    anchors: str | Sequence[str] | None = None,
    retained: Sequence[str] = (),
    method: str | None = None,
    templates: str | None = None,
    progress: bool = True,
) -> Memory:
    """Gather what ``method`` needs to know of the concepts, for ``solve`` now or after a later ``joined``.

    Anchors that the method chooses are chosen by ``solve``, when every kept concept is known.

    Raises:
        ConceptError, ValueError: see ``erase``.
    """
    check_ready(pipe)
    method = method_for(pipe, method)
    check_stages(pipe, method)
    chosen = find_method(method)
    waits = anchors is None and chosen.matches
    if waits and templates is None and (styles := styles_of(as_names(targets, "targets"))):
        targets, anchors, retained = _as_styles(pipe, styles, as_names(retained, "retained"))
        templates, waits = "name", anchors is None
    named, templates = " " if anchors is None else anchors, templates or chosen.templates
    wanted, kept = check_names(pipe, targets, retained, templates)
    named = spread(named, wanted)
    for line in odd_styles(wanted, kept, templates, waits):
        log.warning("%s", line)
    streams = gather_streams(
        pipe,
        wanted,
        anchors=named,
        retained=kept,
        templates=templates,
        positions=chosen.positions,
        places=_usual_places(pipe, chosen),
        progress=progress,
    )
    about = {
        "targets": wanted,
        "anchors": None if waits else named,
        "retained": kept,
        "templates": templates,
        "positions": chosen.positions,
    }
    return Memory.of({name: Memory(each, about, Kept.of(each, kept)) for name, each in streams.items()})


def _usual_places(pipe: Any, method: Method) -> list[str]:
    """Feed-forwards that ``solve`` edits unless it is told otherwise; an encoder without any is its to refuse."""
    try:
        return places_of(pipe, int(method.defaults["blocks"])) if method.stages else []
    except ValueError:
        return []


def _as_styles(
    pipe: Any, styles: Sequence[str], retained: Sequence[str]
) -> tuple[list[str], list[str] | None, list[str]]:
    """Say styles as captions do, each replaced by the nearest other one in the same words.

    Returns:
        targets, their anchors (None where no other style is left), and what is to stay: the other styles said alike,
        everything else alone and in a sentence.
    """
    said = {style: in_captions(style) for style in [*styles, *other_styles(styles, retained)]}
    cut = set(beyond_window(pipe, [phrase for phrases in said.values() for phrase in phrases]))
    others = [style for style in said if style not in styles and style + WORD not in cut]
    fits = [not cut & set(forms) for forms in zip(*(said[style] for style in [*styles, *others]), strict=True)]
    fits[0] = True  # a style that is too long by itself is refused as any name is

    def captions(names: Sequence[str]) -> list[str]:
        return [phrase for name in names for phrase in compress(said[name], fits)]

    kept = [phrase for name in retained if not styles_of([name]) for phrase in (name, f"a picture of a {name}")]
    if not others:
        return captions(styles), None, kept
    instead = nearest_names(pipe, [style + WORD for style in styles], [style + WORD for style in others])
    return captions(styles), captions([name.removesuffix(WORD) for name in instead]), captions(others) + kept


def _edit_whole(
    pipe: Any,
    targets: Sequence[str],
    anchors: str | Sequence[str] | None,
    retained: Sequence[str],
    method: str,
    templates: str,
    seed: int,
    progress: bool,
    settings: Mapping[str, Any],
) -> Patch:
    """Edit by a method that is handed the pipeline; of each weight that changes its drift is told."""
    check_ready(pipe)
    values, (wanted, kept) = complete(method, settings), check_names(pipe, targets, retained, templates)
    if anchors is None and kept and find_method(method).matches:
        anchors = nearest_names(pipe, wanted, kept, templates)
    named = spread(" " if anchors is None else anchors, wanted)
    wish = Wish(tuple(wanted), tuple(named), tuple(kept), sentences_of(templates))
    edited = find_method(method).edit(pipe, wish, seed=seed, progress=progress, **values)  # type: ignore[misc]
    originals = read_weights(pipe, edited)
    facts = {
        name: {"drift": float((edited[name].double() - old.double()).norm() / old.double().norm())}
        for name, old in originals.items()
        if not torch.equal(edited[name], old)
    }
    about = {"targets": wanted, "anchors": named, "retained": kept, "templates": templates}
    return told(pipe, Patch(originals, edited, provenance_of(pipe, method, values, seed, about), facts))
