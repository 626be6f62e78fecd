"""What probes may spend. Known without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What a probe may spend on one target.

    Attributes:
        name: of the budget.
        targets: how many targets of a patch are asked for.
        pictures: tries of every probe, plain sampling among them.
        steps: of an attack that optimises, in all.
        checks: steps of relearning after which pictures are drawn.
        batch: pictures a step of relearning or textual inversion.
        shots: pictures of the concept an attacker has.
    """

    name: str
    targets: int
    pictures: int
    steps: int
    checks: tuple[int, ...]
    batch: int
    shots: int


BUDGETS = {
    "small": Budget("small", 2, 8, 64, (5, 15), 4, 6),
    "full": Budget("full", 10, 48, 2000, (1, 5, 10, 25, 50, 100), 8, 6),
}
