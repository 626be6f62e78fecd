"""The formulations by name: what each is, its settings, what its solver must be handed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scapre.methods.closed.names import CLOSED
from scapre.methods.closed.names import SOLVERS as SOLVERS  # where callers look for it
from scapre.methods.method import Method, Settings
from scapre.methods.trained.names import TRAINED
from scapre.methods.values import check_seed, checked

if TYPE_CHECKING:  # the table is read without torch; solvers are imported when the first is built
    from torch import Tensor

    from scapre.methods.solution import Solver
    from scapre.text.statistics import ConceptStatistics


METHODS: dict[str, Method] = CLOSED | {
    name: Method(about, kind.defaults(), home, kind.grids(), matches=kind.matches, whole=True)
    for name, (about, home, kind) in TRAINED.items()
}
#: the method of a call that names none: of Stable Diffusion, and of a transformer
DEFAULT, ALONE = "staged", "confined"
#: names that were, and what to say of them
FORMER = {
    "scapre": "the method called scapre is now confined, and the default is staged; the paper's is scapre-paper",
}


def methods(*, trained: bool = True) -> dict[str, str]:
    """List the formulations: name → one line.

    Args:
        trained: also those that train.
    """
    abouts = {name: method.about for name, method in CLOSED.items()}
    return abouts | {name: about for name, (about, _, _) in TRAINED.items()} if trained else abouts


def find_method(name: str) -> Method:
    """Look a formulation up.

    Raises:
        ValueError: no such method (the message lists the known ones).
    """
    if name in FORMER:
        raise ValueError(f"{FORMER[name]}; name one of them")
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]


def complete(name: str, settings: Mapping[str, Any]) -> Settings:
    """Fill settings up with the method's defaults.

    Raises:
        ValueError: unknown method or setting, or a value of another kind or outside its range.
    """
    known = find_method(name).defaults
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"{name} has no setting {', '.join(unknown)}; it knows {', '.join(known)}")
    values: dict[str, Any] = {key: checked(key, settings.get(key, default), default) for key, default in known.items()}
    if name in TRAINED:
        TRAINED[name][2](**values)  # refuses words and counts that make no sense
    return values


def build_solver(
    name: str, statistics: ConceptStatistics, weights: Sequence[Tensor], settings: Mapping[str, Any], seed: int = 0
) -> Solver:
    """Prepare a formulation for one prompt set: everything that no single layer decides.

    Args:
        weights: the original projections it will edit, ``(d_out, d)`` each.
        seed: of the released formulations' random draws.

    Raises:
        ValueError: unknown method or setting, or the method is no solver.
    """
    import torch

    from scapre.methods.solution import Solution

    method, values = find_method(name), complete(name, settings)
    check_seed(seed)
    if method.solver is None:
        raise ValueError(f"{name} edits the pipeline as a whole and keeps no memory; use scapre.erase")
    if len(statistics.targets) == 0:
        return Solution  # nothing to forget: every weight is its own edit
    handed: list[Any] = [statistics]
    if method.joint:
        handed.append(weights)
    if method.draws:
        handed.append(torch.Generator().manual_seed(seed))
    return method.solver(*handed, **values)
