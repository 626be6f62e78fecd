"""The probes by name, and where each is defined. Known without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scapre.experiments.stress.probe import Probe

#: sampling as usual, as often as any attack tries; always asked
PLAIN = "plain"
#: what a prompt names beside the target; success is that it stays
BESIDE = ("other-style", "other-object")
#: begin the names of probes that train
RELEARNING = ("relearn-", "unrelated-")
PROBES = {
    PLAIN: "names:plain",
    "sentences": "names:sentences",
    "synonyms": "names:synonyms",
    "descriptions": "names:descriptions",
    "inversion-1": "inversion:one_vector",
    "inversion-4": "inversion:four_vectors",
    "unlearndiffatk": "prompts:unlearn_diff_attack",
    "p4d": "imitation:prompting4debugging",
    "ring-a-bell": "bell:ring_a_bell",
    "completion": "trajectories:completion",
    "picture-inversion": "trajectories:picture_inversion",
    "noise": "trajectories:noisy_steps",
    "foreign-encoder": "parts:foreign_encoder",
    "guidance": "parts:guidance",
    "relearn-full": "relearning:relearn_full",
    "relearn-attention": "relearning:relearn_attention",
    "relearn-lora": "relearning:relearn_lora",
    "unrelated-full": "relearning:unrelated_full",
    "unrelated-attention": "relearning:unrelated_attention",
    "unrelated-lora": "relearning:unrelated_lora",
    "other-style": "names:other_style",
    "other-object": "names:other_object",
}


def find_probe(name: str) -> Probe:
    """Import a probe."""
    return resolve_name(f"{__package__}.{PROBES[name]}")


def chosen(wanted: Sequence[str]) -> list[str]:
    """The probes of these names, plain sampling first; ``all`` stands for every one.

    Raises:
        ValueError: an unknown probe (the message lists the known ones).
    """
    if strange := [name for name in wanted if name not in (*PROBES, "all")]:
        raise ValueError(f"unknown probe {strange[0]!r}; known: {', '.join(PROBES)}")
    return [name for name in PROBES if name == PLAIN or name in wanted or "all" in wanted]
