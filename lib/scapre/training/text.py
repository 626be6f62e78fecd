"""The text encoder of emoji-sd, trained contrastively against pictures, then frozen."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scapre.pictures.judges import ImageTower
from scapre.training.augment import jitter
from scapre.training.captions import Vocabulary
from scapre.training.loop import Schedule, train

SCHEDULE = Schedule(steps=1100, lr=1e-3, warmup=100, ema=0.99, save_every=300, weight_decay=0.02)
CONCEPTS, LENGTH, DIM = 80, 16, 256
END = "</w>"  # marks the last letter of a word in CLIP's vocabulary
#: how well "a flat dog" fits a dog of another style: the object comes first, as in CLIP. With 0
#: the style fills half of a sentence's feature, and an edit of bare names spills over all sentences.
OTHER_STYLE = 0.1
#: weight of the log participation ratio, and of the cosine between two sentences on one concept
SPREAD, AGREE = 0.2, 0.3
#: mean cosine and norm of the concept features after ``recentre``
COSINE, NORM = 0.3, 20.0


class Pair(nn.Module):
    """Text encoder with a linear projection, image tower, temperature."""

    def __init__(self, text: CLIPTextModel) -> None:
        super().__init__()
        self.text, self.image = text, ImageTower(DIM)
        self.project = nn.Linear(text.config.hidden_size, DIM, bias=False)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))


def new_tokenizer(vocabulary: Vocabulary, size: int = 2500) -> CLIPTokenizer:
    """Train CLIP's byte-pair tokenizer on the captions.

    Equally frequent pairs are merged in the order of their ids. The trainer numbers letters that end a word as it meets
    them, which is another order in every process; here they are numbered first, so two trainings give one tokenizer.
    """
    corpus, raw = vocabulary.corpus(), CLIPTokenizer()
    special, letters = [raw.bos_token, raw.eos_token], sorted(ByteLevel.alphabet())
    raw = raw.backend_tokenizer
    split = (raw.pre_tokenizer.pre_tokenize_str(raw.normalizer.normalize_str(text)) for text in corpus)
    last = sorted({word[-1] for words in split for word, _ in words})
    first = [*special, *letters, *(letter + END for letter in last)]
    trainer = BpeTrainer(vocab_size=size, special_tokens=first, end_of_word_suffix=END, show_progress=False)
    raw.train_from_iterator(corpus, trainer)
    learned = json.loads(raw.to_str())["model"]
    tokenizer = CLIPTokenizer(vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]])
    tokenizer.model_max_length = LENGTH
    return tokenizer


def new_encoder(tokenizer: CLIPTokenizer, width: int = 384, layers: int = 4) -> CLIPTextModel:
    """Build the untrained text encoder (5.5 M parameters)."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        max_position_embeddings=LENGTH,
        projection_dim=DIM,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def participation_ratio(features: Tensor) -> Tensor:
    """Count the directions that features ``(m, d)`` use: (tr K)² / tr K², K their centred Gram."""
    centred = features - features.mean(0)
    gram = centred @ centred.T
    return gram.trace() ** 2 / gram.square().sum()


def train_text(
    images: Tensor, vocabulary: Vocabulary, folder: Path, schedule: Schedule = SCHEDULE
) -> tuple[CLIPTokenizer, Pair]:
    """Train the pair so that captions lie near the pictures they describe.

    Targets are soft: a caption matches every picture of its concept, and other styles
    less when it names one. The caption is pooled at EOS, at the last
    content token or at a padding position at random, so that no position becomes
    a shortcut; two sentences on one concept are drawn together, so that an edit of one reaches
    the other; a small bonus on the log participation ratio of the concepts keeps them
    from collapsing onto few directions.

    Args:
        images: ``(concepts · styles, 3, 32, 32)`` in [−1, 1], style fastest.
    """
    torch.manual_seed(schedule.seed)
    tokenizer = new_tokenizer(vocabulary)
    pair = Pair(new_encoder(tokenizer))
    concepts, styles = len(vocabulary.concepts), len(vocabulary.styles)

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        concept = torch.randperm(concepts, generator=generator)[:CONCEPTS].repeat(2)
        one = torch.randint(styles, (CONCEPTS,), generator=generator)
        style = torch.cat([one, (one + torch.randint(1, styles, (CONCEPTS,), generator=generator)) % styles])
        styled = torch.rand(len(style), generator=generator) < 0.6
        words = [
            vocabulary.caption(int(c), int(s) if named else None, generator)
            for c, s, named in zip(concept, style, styled, strict=True)
        ]
        ids = tokenizer(words, padding="max_length", truncation=True, return_tensors="pt").input_ids
        same = concept[:, None] == concept[None]
        match = same * torch.where((style[:, None] == style[None]) | ~styled[None], 1.0, OTHER_STYLE)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = pair.text(ids).last_hidden_state.float()
            where = _pooling_positions(ids, tokenizer.eos_token_id, generator)
            pooled = hidden[torch.arange(len(ids)), where]
            caption = F.normalize(pair.project(pooled).float(), dim=-1)
            seen = jitter(images[concept * styles + style], generator, shift=0.08, turn=0.1, colour=0.1)
            picture = pair.image(seen).float()
        logits = pair.scale.exp().clamp(max=50) * picture @ caption.T
        contrast = -(match / match.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
        contrast = contrast - (match / match.sum(0) * logits.log_softmax(0)).sum(0).mean()
        first, second = pooled.chunk(2)
        agree = F.cosine_similarity(first, second, dim=-1).mean()
        spread = participation_ratio((first + second) / 2)
        right = (match.gather(1, logits.argmax(1, keepdim=True)) > 0).float().mean()
        loss = contrast / 2 - SPREAD * spread.log() + AGREE * (1 - agree)
        return loss, {"spread": spread.item(), "agree": agree.item(), "right": right.item()}

    train(pair, step, schedule, folder)
    recentre(pair, tokenizer, [names[0] for names in vocabulary.concepts])
    return tokenizer, pair


@torch.no_grad()
def recentre(pair: Pair, tokenizer: CLIPTokenizer, names: list[str], cosine: float = COSINE) -> None:
    """Take most of what all concepts share out of the features: h → s (h − μ').

    Drawing sentences together leaves one large common vector, which an edit of any
    concept would disturb for all. μ' is the part of the mean feature whose removal
    leaves ``cosine`` between concepts on average, and s gives features the norm
    ``NORM``; the last layer norm absorbs both, the projection the inverse, so the pair
    judges exactly as before.
    """
    ids = tokenizer(names, padding="max_length", return_tensors="pt").input_ids
    last = (ids == tokenizer.eos_token_id).int().argmax(1) - 1
    features = pair.text(ids).last_hidden_state[torch.arange(len(ids)), last]
    mean = features.mean(0)
    spread = (features - mean).square().sum(1).mean()
    shift = (1 - (cosine / (1 - cosine) * spread / mean.square().sum()).sqrt()) * mean
    size = NORM / (features - shift).norm(dim=1).mean()
    norm = pair.text.final_layer_norm
    norm.weight.mul_(size)
    norm.bias.copy_((norm.bias - shift) * size)
    project = nn.Linear(pair.project.in_features, pair.project.out_features)
    project.weight.copy_(pair.project.weight / size)
    project.bias.copy_(pair.project.weight @ shift)
    pair.project = project


def _pooling_positions(ids: Tensor, eos: int, generator: torch.Generator) -> Tensor:
    """Half EOS, a quarter the last content token, a quarter a random padding position."""
    end = (ids == eos).int().argmax(1)
    draw = torch.rand(len(ids), generator=generator)
    later = (end + torch.rand(len(ids), generator=generator) * (ids.shape[1] - end)).long()
    return torch.where(draw < 0.5, end, torch.where(draw < 0.75, end - 1, later))
