from __future__ import annotations

import torch
from scapre.text.conflict import answer_change, conflict_score, principal_angles
from toys import statistics, weight


def test_angles_do_not_depend_on_the_basis_and_know_containment() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, 8, generator=g, dtype=torch.float64) for _ in range(2))
    mixed = torch.randn(3, 3, generator=g, dtype=torch.float64) @ a
    assert torch.allclose(principal_angles(mixed, b), principal_angles(a, b))
    assert (principal_angles(a, a[:1]) < 1e-4).all()  # a line inside the space
    turned = torch.linalg.qr(torch.randn(8, 8, generator=g, dtype=torch.float64))[0]
    assert torch.allclose(principal_angles(a @ turned, b @ turned), principal_angles(a, b))
    assert principal_angles(a, b).max() > 10


def test_the_score_is_one_inside_and_zero_outside() -> None:
    inside, outside = torch.eye(4, dtype=torch.float64)[:2], torch.eye(4, dtype=torch.float64)[2:]
    gram = 5 * inside.T @ inside
    assert torch.allclose(conflict_score(inside, gram, 1e-9), torch.ones(2, dtype=torch.float64))
    assert (conflict_score(outside, gram, 1e-9) == 0).all()
    assert conflict_score(inside, gram, 5.0).max() < 0.51  # a strong ridge spares even targets


def test_the_score_bounds_the_change_of_a_plain_ridge_edit() -> None:
    s, w0 = statistics(anchors=1), weight()
    blank = torch.zeros_like(s.cross)  # replacement answers nothing: change is −W₀ S (S + λI)⁻¹ r
    eye = torch.eye(12, dtype=torch.float64)
    w = w0 + torch.linalg.solve(s.gram + 0.5 * eye, (blank - s.gram) @ w0.T).T
    change = (w - w0) @ s.retained.T
    score = conflict_score(s.retained, s.gram, 0.5)
    bound = torch.linalg.matrix_norm(w0, 2) * score * s.retained.norm(dim=1)
    assert (change.norm(dim=0) <= bound * (1 + 1e-9)).all()
    found = answer_change({"a": w0}, {"a": w}, s.retained)
    assert torch.allclose(found, change.norm(dim=0) / (w0 @ s.retained.T).norm(dim=0))
    assert (answer_change({"a": w0}, {"a": w0}, s.retained) == 0).all()
