"""Does the decoupler earn anything on the staged eraser? Its change let through row by row, by a gate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from scapre.concepts.lists import sentences_of
from scapre.maths.linalg import lower_median
from scapre.maths.row_gates import gaussian_information, soft_mask
from scapre.methods.closed.confined import noise_of_rows
from scapre.methods.registry import find_method
from scapre.patch.patch import Patch
from scapre.text.embeddings import Encoded, encode
from scapre.text.inner import read_inner

#: what a gate lets through: every row by its m, the rows at or above the median m, as many rows by lot
SOFT, KNOWING, BY_LOT = "soft gate", "knowing half", "half by lot"


def row_information(pipe: Any, patch: Patch, part: str) -> dict[str, Tensor]:
    """I of every row of a part that a patch changes, about every target against its anchor, ``(m, d_out)`` nats.

    Rows of the second linear maps of the text encoder are asked with the keys they read, ``to_k`` and ``to_v`` with
    the text features; both as the text encoder is just now, edited or not. Noise is that of ``confined``.

    Args:
        patch: of ``staged``; it names targets, anchors and sentences.
        part: ``text_encoder`` or ``unet``.

    Raises:
        ValueError: the patch edits no such part.
    """
    weights, about = patch.part(part).original, patch.provenance
    sentences = sentences_of(about["templates"])
    told, instead = (
        [sentence.format(name) if name.strip() else name for name in about[side] for sentence in sentences]
        for side in ("targets", "anchors")
    )
    if part == "unet":
        found = dict.fromkeys(weights, encode(pipe, told + instead, remembered=False).features.double())
    else:
        read = read_inner(pipe, list(weights), told + instead)
        found = {name: Encoded(inner.keys, inner.last).features.double() for name, inner in read.items()}
    sigma = find_method("confined").defaults["noise_sigma"]
    information = {}
    for name, rows in found.items():
        targets, anchors = rows.unflatten(0, (2, -1, len(sentences))).mean(2)
        weight = weights[name].double()
        spread = noise_of_rows(weight, targets, sigma)
        information[name] = gaussian_information(targets @ weight.T, anchors @ weight.T, spread)
    return information


def gated(patch: Patch, gates: Mapping[str, Tensor]) -> Patch:
    """Let a patch through row by row: W₀ + diag(m)(W − W₀); matrices without a gate stay as the patch has them.

    Diagnostics of gated matrices were the whole patch's and are left out.

    Args:
        gates: name → m, ``(d_out,)`` in [0, 1]; 0 leaves a row bit for bit, 1 is the patch.
    """
    edited = dict(patch.edited)
    for name, gate in gates.items():
        old, new = patch.original[name], patch.edited[name]
        edited[name] = torch.lerp(old.double(), new.double(), gate[:, None].double()).to(new.dtype)
    facts = {name: row for name, row in patch.diagnostics.items() if name not in gates}
    return replace(patch, edited=edited, diagnostics=facts)


def gate_rows(pipe: Any, patch: Patch, part: str, form: str) -> Patch:
    """Gate one part of a patch of ``staged`` by what its rows know.

    m is the soft mask of ``confined`` at its defaults, max over targets: of the text encoder as it was, or of the
    UNet's rows behind the edited one. Stages that followed were computed for the whole patch.

    Args:
        form: one of ``SOFT, KNOWING, BY_LOT``.
    """
    settings = find_method("confined").defaults
    lot = torch.Generator().manual_seed(patch.provenance["seed"])
    gates = {}
    with patch.part("text_encoder").applied(pipe) if part == "unet" else nullcontext():
        known = row_information(pipe, patch, part)
    for name, information in known.items():
        gate = soft_mask(information, settings["p"], settings["temperature"]).amax(0)
        if form != SOFT:
            gate = (gate >= lower_median(gate)).double()
        if form == BY_LOT:
            gate = gate[torch.randperm(len(gate), generator=lot)]
        gates[name] = gate
    return gated(patch, gates)
