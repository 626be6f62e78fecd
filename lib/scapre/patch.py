"""An edit as a value: apply it, undo it bit for bit, save it, load it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scapre.projections import read_projections, write_projections


class PatchError(RuntimeError):
    """A patch does not fit the model or file at hand; the message says why."""


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Hash names, shapes, types and bits of weights (SHA-256)."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Patch:
    """Original and edited projections, how they were made, and diagnostics of each.

    Attributes:
        original: weights before, by parameter name, in the model's type.
        edited: weights after.
        provenance: method, settings, seed, prompts, model, versions; plain JSON.
        diagnostics: per projection drift, residual, condition, … (see ``solution.diagnose``).
    """

    original: dict[str, Tensor]
    edited: dict[str, Tensor]
    provenance: dict[str, Any]
    diagnostics: dict[str, dict[str, float]] = field(default_factory=dict)

    def apply(self, pipe: Any) -> None:
        """Write the edit into the pipeline.

        Raises:
            PatchError: the pipeline is another model, already edited by this patch or by another.
        """
        self._expect(pipe, self.original, "apply")
        write_projections(pipe.unet, self.edited)

    def undo(self, pipe: Any) -> None:
        """Restore the original weights bit for bit.

        Raises:
            PatchError: this patch is not the one that was applied last.
        """
        self._expect(pipe, self.edited, "undo")
        write_projections(pipe.unet, self.original)

    @contextmanager
    def applied(self, pipe: Any) -> Iterator[Any]:
        """Apply inside a ``with`` block and undo at its end, also after an error."""
        self.apply(pipe)
        try:
            yield pipe
        finally:
            self.undo(pipe)

    def _expect(self, pipe: Any, wanted: dict[str, Tensor], verb: str) -> None:
        found = read_projections(pipe.unet)
        for name, tensor in wanted.items():
            if name not in found or found[name].shape != tensor.shape:
                raise PatchError(f"cannot {verb}: this patch was made for another architecture ({name} differs)")
            if found[name].dtype != tensor.dtype:
                raise PatchError(
                    f"cannot {verb}: the patch holds {tensor.dtype}, the model {found[name].dtype}; "
                    "load the pipeline with the dtype of the patch"
                )
            if not torch.equal(found[name].cpu(), tensor.cpu()):
                other = self.edited if verb == "apply" else self.original
                again = torch.equal(found[name].cpu(), other[name].cpu())
                reason = {
                    ("apply", True): "it is applied already",
                    ("undo", True): "it is not applied",
                    ("apply", False): "the model's weights differ from those the patch was made for",
                    ("undo", False): "another edit came after it; undo that one first",
                }[verb, again]
                raise PatchError(f"cannot {verb} this patch: {reason} (at {name})")

    def table(self) -> list[dict[str, Any]]:
        """Return the diagnostics as tidy rows."""
        return [{"projection": name, **facts} for name, facts in self.diagnostics.items()]

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, atomically."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {f"original/{k}": v.cpu().contiguous() for k, v in self.original.items()}
        tensors |= {f"edited/{k}": v.cpu().contiguous() for k, v in self.edited.items()}
        about = {"provenance": json.dumps(self.provenance), "diagnostics": json.dumps(self.diagnostics)}
        partial = path.with_name(path.name + ".partial")
        save_file(tensors, partial, {"format": "scapre-patch-1", **about})
        partial.replace(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Patch:
        """Read a saved patch.

        Raises:
            PatchError: the file is missing, truncated, or not a patch.
        """
        if not Path(path).is_file():
            raise PatchError(f"there is no patch file {path}")
        try:
            with safe_open(path, "pt") as stored:
                about = stored.metadata() or {}
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        except (SafetensorError, OSError) as error:
            raise PatchError(f"{path} is not an intact safetensors file ({error}); make the patch again") from error
        if about.get("format") != "scapre-patch-1":
            raise PatchError(f"{path} is not a scapre patch; write one with Patch.save")
        halves = {
            kind: {k.removeprefix(f"{kind}/"): v for k, v in tensors.items() if k.startswith(f"{kind}/")}
            for kind in ("original", "edited")
        }
        return cls(**halves, provenance=json.loads(about["provenance"]), diagnostics=json.loads(about["diagnostics"]))
