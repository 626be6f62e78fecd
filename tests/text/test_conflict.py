from __future__ import annotations

import pytest
import torch
from scapre.text.conflict import answer_change, conflict_score, crowding, nearest_angles, principal_angles
from scapre.text.embeddings import Encoded
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


def test_what_the_edit_is_told_to_keep_lowers_the_score() -> None:
    s, w0 = statistics(anchors=1), weight()
    held = 3 * s.retained.T @ s.retained
    eye = torch.eye(12, dtype=torch.float64)
    w = w0 - torch.linalg.solve(s.gram + held + 0.5 * eye, s.gram @ w0.T).T  # targets answer nothing, R stays
    score = conflict_score(s.retained, s.gram, 0.5, held)
    change = ((w - w0) @ s.retained.T).norm(dim=0)
    assert (change <= torch.linalg.matrix_norm(w0, 2) * score * s.retained.norm(dim=1) * (1 + 1e-9)).all()
    assert (score < conflict_score(s.retained, s.gram, 0.5)).all()


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


def test_nearest_angles_are_the_first_principal_angle_of_every_pair() -> None:
    g = torch.Generator().manual_seed(1)
    a, b = (torch.randn(n, 3, 9, generator=g, dtype=torch.float64) for n in (4, 5))
    a[2] = a[2][0]  # collinear rows span a line
    b[3] = b[3][:1] * torch.tensor([[1.0], [0.0], [2.0]])
    pairs = [[principal_angles(one, other)[0] for other in b] for one in a]
    assert torch.allclose(nearest_angles(a, b), torch.tensor(pairs, dtype=torch.float64), atol=1e-5)


def test_crowding_counts_who_meets_whom() -> None:
    eye = torch.eye(8)
    targets = Encoded(torch.stack([eye[:2], eye[[1, 1]], eye[[2, 3]]]).repeat_interleave(2, 0), torch.zeros(6).long())
    kept = Encoded(torch.stack([eye[[0, 4]], eye[[6, 7]]]).repeat_interleave(2, 0), torch.zeros(4).long())
    found = crowding(targets, kept, 2, 1e-3, 1e6)
    assert found.filled == 4 / 8  # contexts run from the last content token to the end
    assert found.apart.shape == (3, 2)
    assert found.apart[0, 0] < 1e-4 < 50 < found.apart[1, 0]  # the first kept concept is the first target's
    assert found.summary(30) == {
        "filled": 50,
        "score": pytest.approx(50 * 2**0.5, rel=0.01),
        "held": pytest.approx(0, abs=1e-3),
        "kept met": 50,
        "targets met": 0,
    }
    assert found.score.tolist() == pytest.approx([0.5**0.5] * 2, rel=0.01)  # half of (e₀ − e₆)² is the targets'
    assert found.held.max() < 1e-5  # what is held as hard as that stays
    twice = crowding(Encoded(targets.hidden * 3, targets.last), Encoded(kept.hidden * 3, kept.last), 2, 1e-3, 1e6)
    assert torch.allclose(twice.score, found.score)
    assert twice.filled == found.filled
