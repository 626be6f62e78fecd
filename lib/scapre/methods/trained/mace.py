"""MACE in its three stages: closed-form refinement, an adapter a concept, closed-form fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from scapre.methods.closed.uce import ridge_change
from scapre.methods.trained.attention import Attentions, concept_tokens
from scapre.methods.trained.eraser import Batch, said
from scapre.methods.trained.knobs import MaceSettings
from scapre.methods.trained.lora import add_lora, product, restart
from scapre.methods.trained.on_pictures import PictureEraser
from scapre.methods.trained.student import apprentice, trained_names


class Mace(MaceSettings, PictureEraser):
    """Refine, train, fuse.

        W' = argmin Σ‖W e − W₀ e_a‖² + ρ Σ‖(W − W₀) p‖² + λ‖W − W₀‖²      the words around a target
        Σ_l Σ_{i ∈ S} ‖A_l[·, i]‖²_F                                         an adapter of W', target by target
        W* = argmin Σ_i Σ_e ‖W e − (W' + ΔW_i) e‖² + ρ₂ Σ‖(W − W₀) p‖² + λ‖W − W₀‖²

    The refinement maps the words that stand beside a target to the same words beside its anchor and leaves the
    target's own tokens alone. Times follow ξ(t) ∝ σ(γ(t − 200)) − σ(γ(t − 400)). The paper restricts attention to a
    segmentation of the object; the concepts here fill their pictures, so the mask is one everywhere. The paper's p
    are captions of COCO, here the retained concepts; λ is ours, and keeps solutions unique.

    Source: Lu et al. 2024 (arXiv 2403.06135), Eqs. 2–7; the released code is not freely licensed and was not opened.
    Rank, learning rate and weights are not in the text: ours.
    """

    published: ClassVar[str] = "kv"
    sequential: ClassVar[bool] = True

    def enrol(self) -> None:
        """Refine the keys and values; give the refined ones adapters."""
        unet, names = self.denoiser.unet, self.wish.targets
        forms, tokenizer = self.wish.sentences, self.denoiser.pipe.tokenizer
        marks = [[concept_tokens(tokenizer, said(f, n), n) for f in forms] for n in names]
        self.marks = torch.stack([torch.stack(row) for row in marks]).to(self.denoiser.device)
        originals = dict(unet.named_parameters())
        self.originals = {n: originals[n].detach().double() for n in trained_names(unet, "kv")}
        retained = self._read(self.wish.retained).flatten(0, 2) if self.wish.retained else None
        width = next(iter(self.originals.values())).shape[1]
        empty = torch.zeros(width, width, dtype=torch.float64, device=self.denoiser.device)
        self.kept = empty if retained is None else retained.T @ retained
        pairs = [self._beside(k, form) for k in range(len(names)) for form in forms]
        words, replaced = (torch.cat(side) for side in zip(*pairs, strict=True))
        moments = words.T @ words, (replaced - words).T @ words, self.kept
        change, _ = ridge_change(moments, self.ridge, 1.0, self.retain_scale)
        self.refined = {name: weight + weight @ change for name, weight in self.originals.items()}
        self.student = apprentice(unet, ())
        with torch.no_grad():
            for name, weight in self.refined.items():
                own = self.student.get_parameter(name)
                own.data = weight.to(own.dtype)
        self.modules = [name.removesuffix(".weight") for name in self.originals]
        self.parameters = add_lora(self.student, self.modules, self.rank)

    def _read(self, names: Sequence[str]) -> Tensor:
        """Hidden states of names in every sentence, ``(names, sentences, T, d)`` float64."""
        return self.denoiser.text(self.sentences(names)).hidden.double()

    def _beside(self, k: int, form: str) -> tuple[Tensor, Tensor]:
        """Pair the words beside a target with the same words beside its anchor, ``(n, d)`` each."""
        name, anchor = self.wish.targets[k], self.wish.anchors[k]
        tokenizer = self.denoiser.pipe.tokenizer
        sides = []
        for each in (name, anchor):
            hidden = self.denoiser.text(self.denoiser.say([said(form, each)])).hidden[0].double()
            # a blank anchor has no words: what follows a target is paired with what follows the start token
            marks = concept_tokens(tokenizer, said(form, each), each) if each.strip() else None
            first, last = (1, 1) if marks is None else (int(marks.nonzero()[0]), int(marks.nonzero()[-1]) + 1)
            sides.append((hidden[:first], hidden[last:]))
        before, after = (min(len(side[i]) for side in sides) for i in (0, 1))
        words, replaced = (torch.cat([side[0][:before], side[1][:after]]) for side in sides)
        return words, replaced

    def read(self) -> None:
        """Draw the targets."""
        self.seen = self.pool(self.wish.targets)
        self.attention = Attentions(self.student)
        t = torch.arange(len(self.denoiser.noise.betas), dtype=torch.float64) * 1000 / len(self.denoiser.noise.betas)
        self.chances = torch.sigmoid(self.focus * (t - 200)) - torch.sigmoid(self.focus * (t - 400)) + (self.focus == 0)

    def begin(self) -> None:
        """A new adapter."""
        restart(self.parameters, self.seed * 100_003 + self.concept)

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of the target, S in their prompts, noise and times by ξ."""
        _, picture = self.pick(1, self.seen, draw)
        k = self.concept
        drawn = {"x": self.seen.latents[k, picture], "c": self.seen.ids[k, picture]}
        t = torch.multinomial(self.chances, self.batch, replacement=True, generator=draw)
        noise = self.denoiser.gauss(self.batch, draw)
        return drawn | {"marks": self.marks[k, self.seen.forms[picture]], "noise": noise, "t": t.to(noise.device)}

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The sum of squared attention to S, mean over the batch."""
        self.attention.take()
        self.current(self.denoiser.noised(batch["x"], batch["noise"], batch["t"]), batch["t"], batch["c"])
        shares = torch.stack([seen.square().sum((1, 2)) for seen in self.attention.take()]).sum(0)
        return ((shares * batch["marks"]).sum(1).mean().to(self.denoiser.dtype),)

    def end(self) -> None:
        """Keep the adapter's change of every matrix."""
        for module in self.modules:
            change = product(self.parameters[f"{module}.up"].detach(), self.parameters[f"{module}.down"].detach())
            self.state[f"{self.concept}/{module}"] = change

    def weights(self) -> dict[str, Tensor]:
        """Fuse."""
        hidden = self._read(self.wish.targets).flatten(1, 2)
        grams = hidden.transpose(1, 2) @ hidden
        system = grams.sum(0) + self.fusion_retain_scale * self.kept
        system = system + self.ridge * torch.eye(len(system), dtype=system.dtype, device=system.device)
        edited = {}
        for name, original in self.originals.items():
            module, start = name.removesuffix(".weight"), self.refined[name]
            changes = [start + self.state[f"{k}/{module}"].double() - original for k in range(self.concepts)]
            edited[name] = fused(original, changes, grams, system)
        return edited


def fused(original: Tensor, changes: Sequence[Tensor], grams: Tensor, system: Tensor) -> Tensor:
    """W* = W₀ + (Σ_i (W' + ΔW_i − W₀) S_i) (Σ_i S_i + ρ₂K + λI)⁻¹.

    Args:
        original: W₀, ``(d_out, d)``.
        changes: W' + ΔW_i − W₀, one a target.
        grams: S_i, ``(m, d, d)``, of all positions of a target's sentences.
        system: the matrix to invert, ``(d, d)``.
    """
    right = torch.stack([change @ gram for change, gram in zip(changes, grams, strict=True)]).sum(0)
    return original + torch.linalg.solve(system, right.T).T
