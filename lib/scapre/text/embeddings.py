"""Prompts → text features; the sole home of the rules about token positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.model.projections import exact_device
from scapre.model.weights import ENCODERS


@dataclass(frozen=True)
class Encoded:
    """Hidden states of prompts: ``hidden (m, T, d)`` and ``last (m,)``, the last content token.

    ``last`` of an empty prompt is 0, the start token, as in the released code. ``live (m,)`` positions count, those
    behind them are padding that attention masks; None: all do. ``both_ways``: every token knows the whole sentence.
    ``begins (m,)``: the first token of the name in a sentence; None: not asked.
    """

    hidden: Tensor
    last: Tensor
    live: Tensor | None = None
    both_ways: bool = False
    begins: Tensor | None = None

    @property
    def ends(self) -> Tensor:
        """How many positions count, ``(m,)``."""
        return torch.full_like(self.last, self.hidden.shape[1]) if self.live is None else self.live

    @property
    def features(self) -> Tensor:
        """c_k: the feature at the last content token, ``(m, d)``."""
        return self.hidden[torch.arange(len(self.last), device=self.hidden.device), self.last]


@dataclass(frozen=True)
class Contexts:
    """Paired positions of targets and replacements, zero beyond each target's length.

    ``targets (m, L, d)``; ``anchors (a, L, d)``; ``anchor_of (m,)`` names the anchor of a target; ``last (m,)`` and
    ``anchor_last (a,)`` are the places of their last content tokens among the L.
    """

    targets: Tensor
    anchors: Tensor
    anchor_of: Tensor
    last: Tensor
    anchor_last: Tensor

    def from_content(self) -> Contexts:
        """Pair anew, from the last content tokens on."""
        return pair_contexts(Encoded(self.targets, self.last), Encoded(self.anchors, self.anchor_last), self.anchor_of)


def read_tokens(pipe: Any, sentences: Sequence[str]) -> list[tuple[tuple[int, ...], ...]]:
    """Ids of each sentence, uncut and without start and end, by each of the pipeline's tokenizers.

    Sentences of equal ids are one to the model.
    """
    tokenizers = [getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3")]
    read = [
        t(_spelt(pipe, sentences, t), add_special_tokens=False, verbose=False).input_ids
        for t in tokenizers
        if t is not None and sentences
    ]
    return [tuple(map(tuple, ids)) for ids in zip(*read, strict=True)]


def beyond_window(pipe: Any, sentences: Sequence[str]) -> list[str]:
    """Those of the sentences that are longer than the model reads; their ends have no effect."""
    window = pipe.tokenizer.model_max_length - 2  # start and end
    ids = read_tokens(pipe, sentences)
    return [sentence for sentence, read in zip(sentences, ids, strict=True) if max(map(len, read)) > window]


def _spelt(pipe: Any, sentences: Sequence[str], tokenizer: Any) -> list[str]:
    """Write learned words of several vectors out, as the pipeline itself does."""
    convert = getattr(pipe, "maybe_convert_prompt", None)
    return list(sentences) if convert is None else convert(list(sentences), tokenizer)


#: text encoder → prompt → hidden states and last position; only encoders given to ``remember_prompts``
_remembered: WeakKeyDictionary[Any, dict[str, tuple[Tensor, Tensor]]] = WeakKeyDictionary()


def remember_prompts(pipe: Any) -> None:
    """Encode no prompt of this pipeline twice: for many edits of a model whose text encoder stays as it is."""
    _remembered[pipe.text_encoder] = {}


def is_remembered(pipe: Any) -> bool:
    """Whether ``remember_prompts`` was called for this pipeline."""
    return pipe.text_encoder in _remembered


@torch.no_grad()
def encode(
    pipe: Any, prompts: Sequence[str], *, batch: int = 64, progress: bool = False, remembered: bool = True
) -> Encoded:
    """Encode every prompt once, as the pipeline itself would; a sentence that is given twice is run once.

    Args:
        pipe: has ``text_encoder``, ``tokenizer`` and ``device`` (SDXL: a second pair as well).
        prompts: m sentences; longer ones than the model reads are cut, as in diffusers.
        remembered: False encodes anew what ``remember_prompts`` keeps: the text encoder is another just now.

    Returns:
        float32 hidden states on the pipeline's device, or on the CPU where that has no float64.
    """
    memory = _remembered.get(pipe.text_encoder)
    if memory is None or not remembered:
        single = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        found = _encode(pipe, list(single), batch, progress)
        if len(single) == len(prompts):
            return found
        places = torch.tensor([single[prompt] for prompt in prompts], device=found.hidden.device)
        return Encoded(found.hidden[places], found.last[places])
    new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in memory]
    if new:
        fresh = _encode(pipe, new, batch, progress)
        memory.update(zip(new, zip(fresh.hidden, fresh.last, strict=True), strict=True))
    hidden, last = zip(*(memory[prompt] for prompt in prompts), strict=True)
    return Encoded(torch.stack(hidden), torch.stack(last))


def _encode(pipe: Any, prompts: Sequence[str], batch: int, progress: bool, length: int | None = None) -> Encoded:
    hidden, last, place = [], [], exact_device(pipe.device)
    starts = range(0, len(prompts), batch)
    for start in tqdm(starts, desc="encoding prompts", disable=not progress or len(starts) < 8):
        words = list(prompts[start : start + batch])
        tokens = tokens_of(pipe, words, length=length)
        last.append(tokens.attention_mask.sum(1) - 2)
        if getattr(pipe, "text_encoder_2", None) is None:
            hidden.append(run_encoder(pipe.text_encoder, tokens, pipe.device).last_hidden_state.float().to(place))
            continue
        # SDXL reads the last but one layer of two encoders, side by side.
        second = tokens_of(pipe, words, "tokenizer_2", length)
        both = ((pipe.text_encoder, tokens), (pipe.text_encoder_2, second))
        layers = [run_encoder(e, t, pipe.device, output_hidden_states=True).hidden_states[-2] for e, t in both]
        hidden.append(torch.cat(layers, dim=-1).float().to(place))
    return Encoded(torch.cat(hidden), torch.cat(last).to(place))


@torch.no_grad()
def encode_ends(pipe: Any, prompts: Sequence[str], *, batch: int = 64) -> Tensor:
    """c of each prompt, ``(m, d)`` as ``encode(...).features``, without the positions behind its end token.

    CLIP's text encoders are causal: no position sees what comes after it. Prompts are read in the order of their
    length. Other encoders read their whole window.
    """
    if not causal(pipe) or not prompts:
        return encode(pipe, prompts, batch=batch, remembered=False).features
    lengths = [max(map(len, ids)) for ids in read_tokens(pipe, prompts)]
    order = sorted(range(len(prompts)), key=lengths.__getitem__)
    window, found = pipe.tokenizer.model_max_length, []
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        length = min(window, lengths[part[-1]] + 2)  # start and end
        found.append(_encode(pipe, [prompts[i] for i in part], batch, False, length).features)
    rows = torch.cat(found)
    return rows[torch.tensor(order).argsort().to(rows.device)]


def causal(pipe: Any) -> bool:
    """Whether no token of the pipeline's text encoders sees a later one, padding included."""
    encoders = [getattr(pipe, part, None) for part in ENCODERS]
    return all(type(encoder).__name__.startswith("CLIPText") for encoder in encoders if encoder is not None)


def tokens_of(pipe: Any, words: Sequence[str], tokenizer: str = "tokenizer", length: int | None = None) -> Any:
    """Ids and mask of sentences, cut and padded to ``length``, else the model's window, by one of its tokenizers."""
    length, read = length or pipe.tokenizer.model_max_length, getattr(pipe, tokenizer)
    words = _spelt(pipe, words, read)
    return read(words, padding="max_length", max_length=length, truncation=True, return_tensors="pt")


def run_encoder(encoder: Any, tokens: Any, device: torch.device, **options: bool) -> Any:
    """Call an encoder as diffusers does: padding is masked only where the configuration says so."""
    masked = getattr(encoder.config, "use_attention_mask", False)
    mask = tokens.attention_mask.to(device) if masked else None
    return encoder(tokens.input_ids.to(device), attention_mask=mask, **options)


def pair_contexts(targets: Encoded, anchors: Encoded, anchor_of: Tensor, ahead: int = 0) -> Contexts:
    """Pair positions of targets and replacements, last content token on last content token.

    With f the larger of the two last positions, the target gives positions
    f_o … T−1−(f−f_o) and the replacement f_n … T−1−(f−f_n): equally many. Positions that a mask hides are none.

    Args:
        ahead: how many tokens of a name before its last take part as well (``Encoded.begins``). The replacement's first
            then stands for all that a target has before it, its end for what a target has behind it.
    """
    step = torch.arange(targets.hidden.shape[1] + ahead, device=targets.hidden.device) - ahead

    def shift(encoded: Encoded, repeated: bool) -> tuple[Tensor, Tensor]:
        begins = (encoded.last if encoded.begins is None else encoded.begins)[:, None]
        place = encoded.last[:, None] + step
        there = (place >= begins) & (place < encoded.ends[:, None])
        place = torch.minimum(torch.maximum(place, begins), encoded.ends[:, None] - 1)
        rows = torch.gather(encoded.hidden, 1, place[..., None].expand(-1, -1, encoded.hidden.shape[2]))
        return rows, there | repeated

    (rows, mine), (instead, theirs) = shift(targets, False), shift(anchors, ahead > 0)
    paired = mine & theirs[anchor_of]
    longest = int(paired.any(0).nonzero().max()) + 1
    first = torch.full_like(targets.last, ahead), torch.full_like(anchors.last, ahead)
    return Contexts((rows * paired[..., None])[:, :longest], instead[:, :longest], anchor_of, *first)


def reaching_back(contexts: Tensor, last: Tensor) -> Tensor:
    """Let the first token of each name stand at the free places before it, as ``pair_contexts`` does of replacements.

    Args:
        contexts: ``(r, L, d)``, zero where nothing stands.
        last: places of the last content tokens among the L, ``(r,)``; where they are the first places none is free.
    """
    if not last.any():
        return contexts
    begins = torch.minimum(contexts.any(-1).int().argmax(1), last)
    place = torch.maximum(torch.arange(contexts.shape[1], device=contexts.device), begins[:, None])
    return torch.gather(contexts, 1, place[..., None].expand(-1, -1, contexts.shape[2]))


def pair_whole(targets: Encoded, anchors: Encoded, anchor_of: Tensor) -> Contexts:
    """Pair every position of a target with the same position of its replacement, the start token included.

    Behind the end of a replacement its last position is repeated.
    """
    if targets.live is None or anchors.live is None:
        return Contexts(targets.hidden, anchors.hidden, anchor_of, targets.last, anchors.last)
    longest = max(targets.hidden.shape[1], anchors.hidden.shape[1])
    step = torch.arange(longest, device=targets.hidden.device)

    def filled(encoded: Encoded, repeated: bool) -> Tensor:
        place = torch.minimum(step, encoded.ends[:, None] - 1)
        rows = torch.gather(encoded.hidden, 1, place[..., None].expand(-1, -1, encoded.hidden.shape[2]))
        return rows if repeated else rows * (step < encoded.ends[:, None])[..., None]

    return Contexts(filled(targets, False), filled(anchors, True), anchor_of, targets.last, anchors.last)
