"""Prompts → what the layers to edit read of them: whatever lies between text encoder and layer is in it.

One call of the denoiser shows it (``capture``). Where nothing lies between, as in Stable Diffusion, one sentence proves
it and the text encoder's output stands for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm.auto import tqdm

from scapre.model.capture import Groups, alike, call_pipeline, call_unet, layers_of, read_layers
from scapre.model.families import Family
from scapre.model.projections import denoiser_of, exact_device, family_of
from scapre.text.embeddings import Encoded, encode, is_remembered

#: two sentences that begin alike: an encoder that reads both ways tells them apart from the first token on
TWINS = ("a cat", "a dog")
#: relative difference of one tensor computed twice, in half precision at most
ROUNDING = 1e-2
CLIP_SIZE = 28.0  # ‖c‖ of Stable Diffusion's text encoder
AT_ONCE = 16  # prompts a call of a pipeline


@dataclass(frozen=True)
class Front:
    """What lies between the text and the layers of a denoiser.

    Attributes:
        groups: layers that read one and the same.
        plain: they read the text encoders' output as it is.
        both_ways: streams in which every token of a sentence knows the whole of it.
        sizes: stream → ‖c‖ of a last content token.
    """

    groups: Groups
    plain: bool
    both_ways: frozenset[str] = frozenset()
    sizes: dict[str, float] = field(default_factory=dict)

    def scale(self, stream: str) -> float:
        """What brings a stream's features to the size that the settings of all methods are chosen for, CLIP's.

        A ridge λ weighs against c cᵀ: of features a tenth as large it would leave nothing of an edit.
        """
        size = self.sizes.get(stream, CLIP_SIZE)
        return CLIP_SIZE / size if size > 0 else 1.0


#: text encoder → prompt → streams, of pipelines with a transformer that were given to ``remember_prompts``
_read: WeakKeyDictionary[Any, dict[str, dict[str, Encoded]]] = WeakKeyDictionary()
#: denoiser → what it is built of, and its front
_fronts: WeakKeyDictionary[Any, tuple[int, Front]] = WeakKeyDictionary()


def front_of(pipe: Any) -> Front:
    """Find out what the layers to edit read; remembered until the denoiser is built anew.

    Raises:
        ValueError: a layer reads what the picture or the timestep has changed; see also ``capture``.
    """
    denoiser = denoiser_of(pipe)
    built = hash(tuple((type(m), type(getattr(m, "processor", None))) for m in denoiser.modules()))
    if denoiser not in _fronts or _fronts[denoiser][0] != built:
        _fronts[denoiser] = built, (_unet_front(pipe) if family_of(denoiser) is None else _front(pipe))
    return _fronts[denoiser][1]


@torch.no_grad()
def read_inputs(
    pipe: Any, prompts: Sequence[str], *, progress: bool = False, remembered: bool = True
) -> dict[str, Encoded]:
    """Read every prompt as the layers do.

    Args:
        pipe: a pipeline; of Stable Diffusion also what ``encode`` takes for one.
        prompts: m sentences.
        remembered: see ``encode``.

    Returns:
        stream → its positions. A stream is named after the first layer that reads it, further ones of the same layer
        (another text encoder's tokens beside the first's) after that and a number.

    Raises:
        ValueError: see ``front_of``.
    """
    front, denoiser = front_of(pipe), denoiser_of(pipe)
    family = family_of(denoiser)
    if family is not None:
        ask = _recall if remembered and is_remembered(pipe) else _ask
        return ask(pipe, family, front, prompts, progress)
    if front.plain:
        return {next(iter(front.groups)): encode(pipe, prompts, progress=progress, remembered=remembered)}
    return _behind_unet(pipe, front.groups, prompts)


def read_first(pipe: Any, prompts: Sequence[str], *, progress: bool = False, remembered: bool = True) -> Encoded:
    """The first stream of ``read_inputs``: of Stable Diffusion the only one."""
    return next(iter(read_inputs(pipe, prompts, progress=progress, remembered=remembered).values()))


def streams_of(groups: Groups, streams: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """Group of layers → the streams that stand side by side in what it reads."""
    return {layers: [s for s in streams if s.partition("#")[0] == name] for name, layers in groups.items()}


def _behind_unet(pipe: Any, groups: Groups, prompts: Sequence[str]) -> dict[str, Encoded]:
    """Read prompts behind what a UNet itself puts in front of its layers."""
    encoded = encode(pipe, prompts, remembered=False)
    parts = [
        read_layers(pipe, list(groups), partial(call_unet, pipe, rows))[0] for rows in encoded.hidden.split(AT_ONCE)
    ]
    place = encoded.hidden.device
    return {n: Encoded(torch.cat([part[n] for part in parts]).float().to(place), encoded.last) for n in groups}


def _sizes(streams: dict[str, Encoded]) -> dict[str, float]:
    return {name: float(read.features.norm(dim=1).mean()) for name, read in streams.items()}


def _unet_front(pipe: Any) -> Front:
    layers = layers_of(pipe)
    if getattr(denoiser_of(pipe).config, "encoder_hid_dim_type", None) == "ip_image_proj":
        return Front({layers[0]: tuple(layers)}, plain=True)  # IP-Adapter's UNet wants a picture; text passes as it is
    hidden = encode(pipe, TWINS[:1], remembered=False).hidden
    found, _ = read_layers(pipe, layers, partial(call_unet, pipe, hidden))
    groups, rows = alike(found), found[layers[0]]
    if len(groups) == 1 and rows.shape == hidden.shape and torch.equal(rows, hidden.to(rows)):
        return Front(groups, plain=True)
    _check_alone(found, read_layers(pipe, layers, partial(call_unet, pipe, hidden, step=500))[0])
    return Front(groups, plain=False, sizes=_sizes(_behind_unet(pipe, groups, TWINS)))


def _front(pipe: Any) -> Front:
    layers = layers_of(pipe)
    found, _ = read_layers(pipe, layers, partial(call_pipeline, pipe, TWINS))
    _check_alone(found, read_layers(pipe, layers, partial(call_pipeline, pipe, TWINS, seed=1), hurry=0.5)[0])
    groups, both_ways, family = alike(found), set[str](), family_of(denoiser_of(pipe))
    assert family is not None
    streams = _ask(pipe, family, Front(groups, plain=False), TWINS, False)
    for name, read in streams.items():
        cat, dog = read.hidden[:, 0]
        if read.hidden.shape[1] > 1 and (cat - dog).norm() > ROUNDING * cat.norm():
            both_ways.add(name)
    return Front(groups, plain=False, both_ways=frozenset(both_ways), sizes=_sizes(streams))


def _check_alone(found: dict[str, Tensor], again: dict[str, Tensor]) -> None:
    """Refuse layers whose input another picture and another timestep change."""
    for name, rows in found.items():
        if (rows.float() - again[name].float()).norm() > ROUNDING * rows.float().norm():
            raise ValueError(
                f"{name} reads text that the picture or the timestep has already changed, so one edit of it cannot "
                "serve every picture"
            )


def _recall(pipe: Any, family: Family, front: Front, prompts: Sequence[str], progress: bool) -> dict[str, Encoded]:
    """Ask for no prompt twice (``remember_prompts``): edits change nothing in front of the layers they edit."""
    memory = _read.setdefault(pipe.text_encoder, {})
    new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in memory]
    for name, read in (_ask(pipe, family, front, new, progress) if new else {}).items():
        parts = (rows.split(1) for rows in (read.hidden, read.last, read.ends))
        for prompt, hidden, last, live in zip(new, *parts, strict=True):
            memory.setdefault(prompt, {})[name] = Encoded(hidden[:, : int(live)], last, live)
    return {name: _joined([memory[p][name] for p in prompts], name in front.both_ways) for name in memory[prompts[0]]}


def _ask(pipe: Any, family: Family, front: Front, prompts: Sequence[str], progress: bool) -> dict[str, Encoded]:
    """Ask the pipeline batch by batch, and put the streams of the batches together."""
    masks = [mask for _, mask in family.tokens if mask]
    parts: dict[str, list[Encoded]] = {}
    starts = range(0, len(prompts), AT_ONCE)
    for start in tqdm(starts, desc="reading prompts", disable=not progress or len(starts) < 8):
        some = list(prompts[start : start + AT_ONCE])
        found, held = read_layers(pipe, list(front.groups), partial(call_pipeline, pipe, some), masks)
        for name, rows in found.items():
            for stream, read in _streams(pipe, family, name, rows, held, some).items():
                parts.setdefault(stream, []).append(read)
    return {name: _joined(reads, name in front.both_ways) for name, reads in parts.items()}


def _streams(
    pipe: Any, family: Family, name: str, rows: Tensor, held: dict[str, Tensor | None], prompts: Sequence[str]
) -> dict[str, Encoded]:
    """Part what a layer reads by whose tokens it is, and say where content ends."""
    hidden = rows.float().to(exact_device(pipe.device))
    if hidden.ndim == 2:  # one vector a prompt
        none = torch.zeros(len(hidden), dtype=torch.long, device=hidden.device)
        return {name: Encoded(hidden[:, None], none, none + 1)}
    found, start = dict[str, Encoded](), 0
    for number, (part, argument) in enumerate(family.tokens):
        tokenizer, mask = getattr(pipe, part, None), held.get(argument)
        last_one = number == len(family.tokens) - 1
        beside = pipe.tokenizer.model_max_length if mask is None else mask.shape[1]
        width = hidden.shape[1] - start if last_one else beside
        some = hidden[:, start : start + width]
        start += width
        if tokenizer is None:  # Stable Diffusion 3 without T5: its rows are zero
            continue
        if mask is not None:
            live = mask.sum(1).to(hidden.device)
        elif argument:  # nothing is padded
            live = torch.full((len(some),), width, device=hidden.device)
        else:
            ids = tokenizer(list(prompts), truncation=True, max_length=width).input_ids
            live = torch.tensor([len(each) for each in ids], device=hidden.device)
        last = (live - 1 - _behind(pipe, tokenizer)).clamp(min=0)
        if not argument:
            some, live = _with_padding(some, live)
        found[f"{name}#{number}" if number else name] = Encoded(some[:, : int(live.max())], last, live)
    return found


def _behind(pipe: Any, tokenizer: Any) -> int:
    """How many tokens a tokenizer, or the pipeline's template, puts behind the content."""
    template = getattr(pipe, "prompt_template_encode", None)
    if template is not None:
        return len(tokenizer(template.partition("{}")[2], add_special_tokens=False).input_ids)
    whole, bare = tokenizer("cat").input_ids, tokenizer("cat", add_special_tokens=False).input_ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return len(whole) - start - len(bare)


def _with_padding(hidden: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Put padding that no mask hides behind the tokens as one row, √count times its mean: nearly all of its moment."""
    step = torch.arange(hidden.shape[1], device=hidden.device)
    behind = (step >= live[:, None])[..., None]
    count = behind.sum(1)
    mean = (hidden * behind).sum(1) / count.clamp(min=1).sqrt()
    kept = pad((hidden * ~behind)[:, : int(live.max())], (0, 0, 0, 1))
    kept[torch.arange(len(kept), device=hidden.device), live] += mean
    return kept, live + (count[:, 0] > 0)


def _joined(parts: Sequence[Encoded], both_ways: bool) -> Encoded:
    """Put batches of different lengths together."""
    longest = max(part.hidden.shape[1] for part in parts)
    hidden = torch.cat([pad(part.hidden, (0, 0, 0, longest - part.hidden.shape[1])) for part in parts])
    lives = [part.live for part in parts if part.live is not None]
    return Encoded(hidden, torch.cat([part.last for part in parts]), torch.cat(lives), both_ways)
