"""An edit as a value: apply it, undo it bit for bit, save it, load it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scapre.model.fingerprint import fingerprint
from scapre.model.weights import part_of, read_weights, write_weights
from scapre.patch.places import PatchError, find_patch, undo_path
from scapre.patch.sealed import read_sealed, write_sealed

FORMAT, UNDO_FORMAT = "scapre-patch-3", "scapre-undo-3"
OLDER, OLDER_UNDO = "scapre-patch-2", "scapre-undo-2"  # without a seal


@dataclass(frozen=True)
class Patch:
    """Edited projections, the originals if they are at hand, how they were made, and diagnostics.

    Attributes:
        original: weights before, by parameter name, in the model's type; empty when the patch was
            loaded without its companion, until ``apply`` has met the base model.
        edited: weights after.
        provenance: method, settings, seed, prompts, model, versions; plain JSON.
        diagnostics: per projection drift, residual, condition, … (see ``solution.diagnose``).
        base: SHA-256 of each original of a loaded patch; stands in for originals not at hand.
    """

    original: dict[str, Tensor]
    edited: dict[str, Tensor]
    provenance: dict[str, Any]
    diagnostics: dict[str, dict[str, float]] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> dict[str, Tensor]:
        """The edited weights that differ from their originals; no other is checked, written or saved."""
        return {n: w for n, w in self.edited.items() if n not in self.original or not w.equal(self.original[n])}

    def apply(self, pipe: Any) -> None:
        """Write the edit into the pipeline and remember what it replaces.

        Patches that change no matrix in common may be applied and undone in any order.

        Raises:
            PatchError: the pipeline is another model, already edited by this patch or by another.
            ValueError: the pipeline cannot be edited as it is (see ``projections``).
        """
        self.remember(pipe)
        write_weights(pipe, self.changed)

    def undo(self, pipe: Any) -> None:
        """Restore the original weights bit for bit.

        Raises:
            PatchError: this patch is not the one that was applied last, or the originals are not at hand.
            ValueError: the pipeline cannot be edited as it is.
        """
        self._expect(pipe, "undo")
        write_weights(pipe, self.originals())

    @contextmanager
    def applied(self, pipe: Any) -> Iterator[Any]:
        """Apply inside a ``with`` block and undo at its end, also after an error."""
        self.apply(pipe)
        try:
            yield pipe
        finally:
            self.undo(pipe)

    def remember(self, pipe: Any) -> None:
        """Check that the pipeline is the base model and keep copies of what the edit replaces.

        Raises:
            PatchError, ValueError: see ``apply``.
        """
        found = self._expect(pipe, "apply")
        self.original.update({name: found[name] for name in self.edited if name not in self.original})

    def part(self, name: str) -> Patch:
        """Return the edit of one part of the pipeline, as what is left where another part is foreign.

        Args:
            name: ``unet``, ``transformer``, ``text_encoder`` or ``text_encoder_2``.

        Raises:
            ValueError: this patch edits no such part.
        """
        if name not in (parts := {part_of(weight)[0] for weight in self.edited}):
            raise ValueError(f"this patch edits {', '.join(sorted(parts))}, not {name!r}")
        kept = [
            {weight: held for weight, held in table.items() if part_of(weight)[0] == name}
            for table in (self.original, self.edited, self.diagnostics, self.base)
        ]
        return Patch(kept[0], kept[1], self.provenance | {"part": name}, kept[2], kept[3])  # type: ignore[arg-type]

    def scaled(self, strength: float) -> Patch:
        """Return the edit at a part of its strength: W₀ + s (W − W₀).

        Args:
            strength: s in [0, 1]; 0 changes nothing, 1 is this patch.

        Raises:
            ValueError: s is outside [0, 1].
            PatchError: the originals are not at hand.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"the strength must lie in [0, 1], got {strength}")
        old = self.originals()
        new = {n: torch.lerp(old[n].double(), w.double(), strength).to(w.dtype) for n, w in self.changed.items()}
        # the residual is not proportional to the change, so it is left out
        facts = {
            name: {k: strength * v if k.endswith("drift") else v for k, v in row.items() if k != "residual"}
            for name, row in self.diagnostics.items()
        }
        total = strength * self.provenance.get("strength", 1.0)
        about = self.provenance | {"strength": total}
        return replace(self, original=dict(old), edited=new, provenance=about, diagnostics=facts)

    def originals(self) -> dict[str, Tensor]:
        """Return the originals of the changed weights.

        Raises:
            PatchError: they are not at hand.
        """
        if missing := set(self.edited) - set(self.original):
            raise PatchError(
                f"the originals of {len(missing)} matrices are not at hand; put the file NAME.undo.safetensors beside "
                "the patch and load it again, or load the base model anew"
            )
        return {name: self.original[name] for name in self.changed}

    def _is_base(self, name: str, found: Tensor) -> bool:
        if name in self.original:
            return torch.equal(found.cpu(), self.original[name].cpu())
        return fingerprint({name: found}) == self.base[name]

    def _expect(self, pipe: Any, verb: str) -> dict[str, Tensor]:
        """Read the pipeline's weights and see that they are what ``verb`` needs."""
        found = read_weights(pipe, self.edited)
        for name, tensor in self.changed.items():
            if name not in found or found[name].shape != tensor.shape:
                raise PatchError(f"cannot {verb}: this patch was made for another architecture ({name} differs)")
            if found[name].dtype != tensor.dtype:
                raise PatchError(
                    f"cannot {verb}: the patch holds {tensor.dtype}, the model {found[name].dtype}; "
                    "load the pipeline with the dtype of the patch"
                )
            before, after = self._is_base(name, found[name]), torch.equal(found[name].cpu(), tensor.cpu())
            if not (before if verb == "apply" else after):
                reason = {
                    ("apply", True): "it is applied already",
                    ("undo", True): "it is not applied",
                    ("apply", False): "the model's weights differ from those the patch was made for",
                    ("undo", False): "another edit came after it; undo that one first",
                }[verb, before or after]
                raise PatchError(f"cannot {verb} this patch: {reason} (at {name})")
        return found

    def table(self, part: str | None = None) -> list[dict[str, Any]]:
        """Return the diagnostics as tidy rows; of one part of the pipeline where one is named."""
        rows: list[dict[str, Any]] = [{"projection": name, **facts} for name, facts in self.diagnostics.items()]
        return rows if part is None else [row for row in rows if part_of(row["projection"])[0] == part]

    def save(self, path: str | Path, *, undo: bool = True) -> Path:
        """Write the changed weights as safetensors, atomically.

        The keys are parameter names, so ``unet.load_state_dict(load_file(path), strict=False)`` applies
        the file without scapre. Provenance, diagnostics and hashes are JSON in its metadata.

        Args:
            path: ends in ``.safetensors``.
            undo: write the originals to ``NAME.undo.safetensors`` beside it. Leave them out to publish a
                patch that cannot be undone without the base model; a companion of before is removed.

        Raises:
            ValueError: the path has another ending.
            PatchError: the originals are to be written and are not at hand.
            WriteError: a file cannot be written.
        """
        path = Path(path)
        companion = undo_path(path)
        changed = self.changed
        base = {n: fingerprint({n: self.original[n]}) if n in self.original else self.base[n] for n in changed}
        if undo:
            write_sealed(companion, self.originals(), UNDO_FORMAT, {})
        about = {"provenance": self.provenance, "diagnostics": self.diagnostics, "base": base}
        texts = {key: json.dumps(value) for key, value in about.items()}
        write_sealed(path, changed, FORMAT, {"sha256": fingerprint(changed), **texts})
        if not undo:
            companion.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Patch:
        """Read a saved patch, and its companion when that lies beside it.

        Raises:
            PatchError: a file is missing, damaged, not a patch, or not this patch's companion.
        """
        tensors, about = read_sealed(find_patch(path), FORMAT, "make the patch again", OLDER)
        try:
            base, provenance, facts = (json.loads(about[key]) for key in ("base", "provenance", "diagnostics"))
            if set(base) != set(tensors) or fingerprint(tensors) != about["sha256"]:
                raise ValueError("other weights")
        except (KeyError, ValueError) as error:
            raise PatchError(f"{path} does not hold what was saved ({error}); make the patch again") from error
        original: dict[str, Tensor] = {}
        companion = undo_path(path)
        if companion.is_file():
            original, _ = read_sealed(companion, UNDO_FORMAT, "restore or remove it", OLDER_UNDO)
            if {name: fingerprint({name: tensor}) for name, tensor in original.items()} != base:
                raise PatchError(f"{companion} is damaged or belongs to another patch; restore or remove it")
        return cls(original, tensors, provenance, facts, base)
