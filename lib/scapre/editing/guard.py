"""Warn before anyone meets a noise image: limits on how far an edit may move weights and kept concepts."""

from __future__ import annotations

import pandas as pd

from scapre.patch.patch import Patch

# Chosen on emoji-sd over every method at 5, 20 and 60 targets: edits below both limits
# still drew three of four kept objects right.
#: mean drift ‖W − W₀‖ / ‖W₀‖ over the projections; of a text encoder's feed-forwards it says nothing, whose edits
#: lie across what any sentence uses
DRIFT_LIMIT = 0.7
#: mean change of the kept concepts' answers, ‖(W − W₀) Rᵀ‖ / ‖W₀ Rᵀ‖
RETAINED_LIMIT = 0.5


def warnings(patch: Patch) -> list[str]:
    """List what should be looked at before the edit is used; empty when nothing passes a limit."""
    table = pd.DataFrame(patch.table("unet"))
    found = []
    if table.get("drift", pd.Series([0.0])).mean() > DRIFT_LIMIT:
        found.append(
            f"the weights moved by {table['drift'].mean():.2f} of their norm (limit {DRIFT_LIMIT}); pictures of "
            "anything may turn to noise: lower erase_scale or raise ridge, or erase fewer concepts"
        )
    if "retained_drift" not in table:
        found.append("no concept to keep was named, so nothing says how far others drift; name some with --retain")
    elif table["retained_drift"].mean() > RETAINED_LIMIT:
        found.append(
            f"the answers to kept concepts moved by {table['retained_drift'].mean():.2f} (limit {RETAINED_LIMIT}); "
            "they may be damaged: raise retain_scale or ridge, or erase fewer concepts"
        )
    return found
