"""What each eraser reads of prompts and trajectories: tokens, captions, distractors, states."""

from __future__ import annotations

import pytest
import torch
from scapre.methods.trained.attention import concept_tokens
from scapre.methods.trained.concept_ablation import ConceptAblation
from scapre.methods.trained.esd import Esd
from scapre.methods.trained.forget_me_not import ForgetMeNot
from scapre.methods.trained.loop import train
from scapre.methods.trained.surgun import SurgUn
from scapre.text.embeddings import encode
from trained_toys import WISH, asked, first_batch, opened, tiny_pipeline


def test_tokens_of_a_concept_are_found() -> None:
    tokenizer = tiny_pipeline().tokenizer
    marks = concept_tokens(tokenizer, "a picture of a red car", "red car")
    ids = tokenizer("a picture of a red car").input_ids
    words = tokenizer.decode([ids[i] for i in marks.nonzero().flatten()])
    assert words.replace(" ", "") == "redcar"
    ends = concept_tokens(tokenizer, "a picture of a red car", "red car", ends=True)
    assert (ends & ~marks).nonzero().flatten().tolist() == list(range(len(ids) - 1, 12))  # the end, and padding by it
    with pytest.raises(ValueError, match="does not read 'dog' in 'a cat'"):
        concept_tokens(tokenizer, "a cat", "dog")


def test_a_few_steps_starve_the_concept_of_attention() -> None:
    eraser = opened(ForgetMeNot, steps=12, use_pooler=False, learning_rate=0.03, trained="kv")
    train(eraser)
    assert sum(eraser.history[-3:]) < 0.6 * sum(eraser.history[:3])


def test_captions_name_the_target_in_the_picture_s_sentence() -> None:
    wish = asked(("cat", "dog"), ("sun", ""), (), "sentences")
    eraser = opened(ConceptAblation, wish=wish, pictures=4)
    say = eraser.denoiser.say
    assert eraser.captions[0].equal(say(["cat", "a picture of a cat", "an image of a cat", "a drawing of a cat"]))
    assert eraser.anchors.ids[1].equal(say([""]).expand(4))


def test_the_start_token_s_key_and_value_give_no_gradient() -> None:
    eraser = opened(ConceptAblation)
    for name, module in eraser.student.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v")):
            text = torch.randn(2, 12, 32, requires_grad=True)
            module(text).sum().backward()
            assert text.grad is not None
            assert text.grad[:, 0].abs().max() == 0
            assert text.grad[:, 1:].abs().min() > 0


def test_distractors_are_the_farthest_kept_concepts() -> None:
    eraser = opened(SurgUn, distractors=2)
    features = {n: encode(tiny_pipeline(), [n]).features[0] for n in (*WISH.targets, *WISH.retained)}
    for k, target in enumerate(WISH.targets):
        near = {n: float(torch.cosine_similarity(features[target], features[n], dim=0)) for n in WISH.retained}
        chosen = {WISH.retained[i] for i in eraser.far[k]}
        assert max(near[n] for n in chosen) <= min(near[n] for n in set(near) - chosen)


def test_surgun_keeps_to_its_blocks() -> None:
    edited = train(opened(SurgUn, blocks="up"))
    assert edited
    assert all(name.startswith("up_blocks.") and ".attn2." in name for name in edited)


def test_the_formula_of_2025_with_one_more_eta_is_the_paper_s() -> None:
    paper, code = opened(Esd, eta=1.7), opened(Esd, eta=2.7, formula="code-2025")
    batch = first_batch(paper)
    assert torch.allclose(paper.target(batch), code.target(batch), atol=1e-6)
    assert not torch.allclose(paper.target(batch), opened(Esd, eta=1.7, formula="code-2025").target(batch), atol=1e-6)
    assert code.guide() is code.denoiser.unet
    assert paper.guide() is paper.student


def test_a_trajectory_serves_as_many_steps_as_it_may() -> None:
    eraser = opened(Esd, reuse=3, drawing_steps=3)
    walks = []
    walk = eraser.denoiser.walk
    eraser.denoiser.walk = lambda *a, **k: walks.append(k) or walk(*a, **k)  # type: ignore[method-assign]
    for step in range(7):
        batch = eraser.sample(torch.Generator().manual_seed(step))
        times = eraser.state["times"]
        for picture in range(2):
            where = int((times == batch["t"][picture]).nonzero())
            assert batch["x"][picture].equal(eraser.state["walked"][where, picture])
    assert len(walks) == 3
