"""Rebuild emoji-sd and its judges from the committed emoji, part by part, resumable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from scapre.concepts.emoji import STYLES, load_emoji
from scapre.concepts.lists import read_concepts
from scapre.files import replacing_folder, write_tensors, write_text
from scapre.model.backbones import load_pipeline
from scapre.model.sentences import load_sentence_encoder
from scapre.model.sums import write_sums
from scapre.paths import control_folder, dit_folder, judge_folder, model_folder
from scapre.pictures.judges import Captioner, Judge, Judges, save_judges, to_unit
from scapre.training import dit as dit_training
from scapre.training import judges as judge_training
from scapre.training import text as text_training
from scapre.training import unet as unet_training
from scapre.training import vae as vae_training
from scapre.training.captions import CHATTY_PLAIN, CHATTY_STYLED, Vocabulary
from scapre.training.loop import Schedule
from scapre.training.parts import CONTROL, TRANSFORMER, check_part, workplace

EDGE = 32


def vocabulary() -> Vocabulary:
    """Names, aliases and styles of the committed emoji."""
    table = read_concepts("emoji")
    names = [(name, *filter(None, more.split("|"))) for name, more in zip(table["name"], table["aliases"], strict=True)]
    return Vocabulary(tuple(names), tuple(STYLES))


def sentence_vocabulary() -> Vocabulary:
    """The same words in twice as many sentences, for a text encoder that was trained on sentences."""
    return replace(vocabulary(), plain=CHATTY_PLAIN, styled=CHATTY_STYLED)


def pictures() -> Tensor:
    """All emoji, ``(concepts · styles, 3, 32, 32)`` in [−1, 1]."""
    return to_unit(torch.from_numpy(load_emoji(EDGE)[0]))


def _shortened(schedule: Schedule, steps: int | None) -> Schedule:
    return schedule if steps is None else replace(schedule, steps=steps)


def train_part(part: str, steps: int | None = None) -> None:
    """Train one of ``parts.PARTS`` (resuming if it was interrupted) and keep it in the workplace.

    Raises:
        ValueError: no such part.
        FileNotFoundError: a part was asked for before those it stands on.
    """
    check_part(part)
    folder = workplace() / part
    if part == "autoencoder":
        vae = vae_training.train_autoencoder(pictures(), folder, _shortened(vae_training.SCHEDULE, steps))
        _save(vae, folder / "model")
    elif part == "text":
        tokenizer, pair = text_training.train_text(
            pictures(), vocabulary(), folder, _shortened(text_training.SCHEDULE, steps)
        )
        _save(tokenizer, folder / "tokenizer")
        _save(pair.text, folder / "model")
        captioner = Captioner(pair.text.config.hidden_size)
        captioner.image, captioner.project = pair.image, pair.project
        _keep(captioner, folder)
    elif part == "decoder":
        _, _, vae = _frozen("autoencoder")
        trunk = _captioner().image.trunk
        vae = vae_training.train_decoder(vae, pictures(), trunk, folder, _shortened(vae_training.DECODER, steps))
        _save(vae, folder / "model")
    elif part == "judge":
        _, _, vae = _frozen()
        real = pictures()
        with torch.no_grad():
            again = torch.cat([vae(batch).sample.clamp(-1, 1) for batch in real.split(256)])
        views = torch.stack([real, again])
        _keep(
            judge_training.train_judge(views, len(STYLES), folder, _shortened(judge_training.SCHEDULE, steps)), folder
        )
    elif part == CONTROL:
        train_control(folder, _shortened(unet_training.SCHEDULE, steps))
    elif part == TRANSFORMER:
        train_transformer(folder, _shortened(dit_training.SCHEDULE, steps))
    else:
        tokenizer, text, vae = _frozen()
        pool = unet_training.build_pool(pictures(), vocabulary(), tokenizer, text, vae)
        unet = unet_training.train_denoiser(pool, folder, _shortened(unet_training.SCHEDULE, steps))
        _save(unet, folder / "model")


def train_control(folder: Path, schedule: Schedule) -> Path:
    """Train the shipped pipeline's denoiser again, by its recipe and from nothing, without twenty of its concepts.

    Everything in front of the denoiser and behind it is the shipped pipeline's, so only the denoiser differs and
    only it is written, as float16.

    Returns:
        the folder of ``data/models/control`` that holds it.
    """
    pipe, words = load_pipeline(), vocabulary()
    never = set(read_concepts("unseen")["name"])
    seen = [i for i, (name, *_) in enumerate(words.concepts) if name not in never]
    images = pictures().unflatten(0, (len(words.concepts), len(words.styles)))[seen].flatten(0, 1)
    rest = Vocabulary(tuple(words.concepts[i] for i in seen), words.styles)
    pool = unet_training.build_pool(images, rest, pipe.tokenizer, pipe.text_encoder, pipe.vae)
    unet = unet_training.train_denoiser(pool, folder, schedule)
    _save(unet.to(torch.float16), control_folder() / "unet")
    write_sums(control_folder())
    return control_folder() / "unet"


def train_transformer(folder: Path, schedule: Schedule) -> Path:
    """Train emoji-dit's transformer on emoji-sd's latents, without the aliases that are held out."""
    words, _ = sentence_vocabulary().without_some_aliases()
    pool = dit_training.build_pool(pictures(), words, *load_sentence_encoder(), load_pipeline().vae)
    return assemble_transformer(dit_training.train_denoiser(pool, folder, schedule))


def assemble_transformer(transformer: PixArtTransformer2DModel) -> Path:
    """Write ``data/models/emoji-dit``, float16: transformer, scheduler and index.

    It reads by all-MiniLM-L6-v2 and draws by emoji-sd's autoencoder, which lie elsewhere (``scapre.model.sentences``).
    """
    tokenizer, text = load_sentence_encoder()
    pipe = PixArtAlphaPipeline(
        tokenizer=tokenizer,
        text_encoder=text,
        vae=load_pipeline().vae,
        transformer=transformer.to(torch.float16),
        scheduler=DPMSolverMultistepScheduler.from_config(unet_training.noise_schedule().config),
    )
    _write(pipe, dit_folder(), without=("tokenizer", "text_encoder", "vae"))
    return dit_folder()


def _write(pipe: Any, folder: Path, without: Sequence[str] = ()) -> None:
    """Write a pipeline with its sums, a card that is there kept."""
    card = folder / "README.md"
    with replacing_folder(folder) as partial:
        pipe.save_pretrained(partial)
        for part in without:
            rmtree(partial / part)
        for config in partial.glob("*/config.json"):
            # diffusers notes where a part was loaded from: a path of this machine
            about = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
            write_text(config, json.dumps(about, indent=2) + "\n")
        write_sums(partial)
        if card.is_file():
            write_text(partial / card.name, card.read_text(encoding="utf-8"))


def _save(part: Any, folder: Path) -> None:
    with replacing_folder(folder) as partial:
        part.save_pretrained(partial)


def _keep(module: torch.nn.Module, folder: Path) -> None:
    write_tensors(folder / "final.safetensors", module.state_dict())


def _frozen(autoencoder: str = "decoder") -> tuple[CLIPTokenizer, CLIPTextModel, AutoencoderKL]:
    base = workplace()
    for part in ("text", autoencoder):
        if not (base / part / "model").is_dir():
            raise FileNotFoundError(f"train {part} first: `scapre train {part}`")
    tokenizer = CLIPTokenizer.from_pretrained(base / "text" / "tokenizer")
    tokenizer.model_max_length = text_training.LENGTH
    text = CLIPTextModel.from_pretrained(base / "text" / "model", use_safetensors=True).eval()
    vae = AutoencoderKL.from_pretrained(base / autoencoder / "model", use_safetensors=True).eval()
    return tokenizer, text, vae


def assemble() -> Path:
    """Put the trained parts together: ``data/models/emoji-sd`` and ``data/models/judges``, float16."""
    base = workplace()
    tokenizer, text, vae = _frozen()
    unet = UNet2DConditionModel.from_pretrained(base / "denoiser" / "model", use_safetensors=True)
    scheduler = DPMSolverMultistepScheduler.from_config(unet_training.noise_schedule().config)
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    _write(pipe.to(dtype=torch.float16), model_folder())
    save_judges(trained_judges(), judge_folder())
    return model_folder()


def trained_judges() -> Judges:
    """Read the judges of the workplace."""
    words = vocabulary()
    judge = Judge(len(words.concepts), len(words.styles))
    judge.load_state_dict(load_file(workplace() / "judge" / "final.safetensors"))
    return Judges(judge.eval(), _captioner(), [names[0] for names in words.concepts], list(words.styles))


def _captioner() -> Captioner:
    state = load_file(workplace() / "text" / "final.safetensors")
    captioner = Captioner(state["project.weight"].shape[1])
    captioner.load_state_dict(state)
    return captioner.eval()
