"""ESD: move the concept's prediction away from itself, along negative guidance of the frozen model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch, Eraser
from scapre.methods.trained.knobs import EsdSettings
from scapre.methods.trained.settings import WalkSettings


class Walker(WalkSettings, Eraser):
    """A method whose x_t are states of the model's own trajectories; no pictures are needed."""

    def read(self) -> None:
        """Encode the targets; no trajectory is there yet."""
        self.targets = self.sentences(self.wish.targets)
        self.blank = self.denoiser.say([""])[0]

    def begin(self) -> None:
        """Walk anew."""
        self.state.pop("walked", None)

    def guide(self) -> torch.nn.Module:
        """The model that walks: the student."""
        return self.student

    def walked(self, draw: torch.Generator, ids: Tensor) -> Batch:
        """Draw states of trajectories of ``ids (batch,)``: ``x``, ``t`` and the prompts ``c`` they follow.

        The state says how often it was used, so that ``reuse`` steps share one walk.
        """
        place = torch.randint(self.drawing_steps, (self.batch,), generator=draw)
        used = int(self.state["used"]) if "walked" in self.state else self.reuse
        if used >= self.reuse:
            start = self.denoiser.gauss(self.batch, draw)
            far = int(place.max()) + 1 if self.reuse == 1 else self.drawing_steps
            states, times = self.denoiser.walk(
                self.guide(), ids, start, self.drawing_steps, self.drawing_guidance, far=far
            )
            self.state |= {"walked": states, "times": times, "prompts": ids}
            used = 0
        self.state["used"] = torch.tensor(used + 1)
        states, times, ids = self.state["walked"], self.state["times"], self.state["prompts"]
        place = place.to(ids.device)
        return {"x": states[place, torch.arange(self.batch, device=ids.device)], "t": times[place], "c": ids}


class Esd(EsdSettings, Walker):
    """‖ε(x_t, c) − [ε₀(x_t, ∅) − η(ε₀(x_t, c) − ε₀(x_t, ∅))]‖².

    Each picture of a batch follows a target drawn at random, all within one budget of steps.

    Source: Gandikota et al. 2023 (arXiv 2303.07345), Eq. 6, and its released code, of which two formulas are known:
    ``paper`` takes its states from the student; ``code-2025`` regresses on ε₀(c) − η(ε₀(c) − ε₀(∅)), its states
    from the frozen model, so that its η is one more than the paper's.
    """

    def guide(self) -> torch.nn.Module:
        """The student, or in the code of 2025 the frozen model."""
        return self.student if self.formula == "paper" else self.denoiser.unet

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw targets and states of their trajectories."""
        flat = self.targets.flatten()
        return self.walked(draw, flat[torch.randint(len(flat), (self.batch,), generator=draw).to(flat.device)])

    def target(self, batch: Batch) -> Tensor:
        """What the concept's prediction is moved to, from the frozen model alone."""
        x, t, c = batch["x"], batch["t"], batch["c"]
        told, blank = self.denoiser.frozen(x, t, c), self.denoiser.frozen(x, t, self.blank.expand(len(c)))
        start = blank if self.formula == "paper" else told
        return start - self.eta * (told - blank)

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The regression."""
        return (F.mse_loss(self.current(batch["x"], batch["t"], batch["c"]), self.target(batch)),)
