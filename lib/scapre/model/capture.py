"""One call of the denoiser, and what the layers to edit read in it: projections, norms and masks in front included."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.projections import denoiser_of, projection_names
from scapre.model.sampling import as_asked, known_of

#: names of layers that read one and the same, the first of them standing for all
Groups = dict[str, tuple[str, ...]]


class _Read(Exception):
    """Ends the call when every layer asked for has been reached."""


def layers_of(pipe: Any) -> list[str]:
    """Name the layers to edit, without ``.weight``."""
    return [name.removesuffix(".weight") for name in projection_names(denoiser_of(pipe))]


@torch.no_grad()
def read_layers(
    pipe: Any, layers: Sequence[str], call: Callable[[], Any], masks: Sequence[str] = (), hurry: float = 1.0
) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """Run ``call`` until every layer has been reached, and keep what each of them read.

    Args:
        layers: names in the denoiser.
        call: leads to one call of the denoiser.
        masks: arguments of the denoiser to keep as well.
        hurry: what to multiply the timestep by.

    Returns:
        what each layer read, ``(m, T, d)`` or ``(m, d)`` of the denoiser's type, the very tensors; and the masks, None
        where there was none.

    Raises:
        ValueError: the denoiser was not called, or ended without reaching all layers.
    """
    denoiser, found, held = denoiser_of(pipe), dict[str, Tensor](), dict[str, Tensor | None]()

    def ask(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        held.update({name: named.get(name) for name in masks})
        if hurry == 1:
            return given, named
        if "timestep" in named:
            return given, named | {"timestep": named["timestep"] * hurry}
        return (given[0], given[1] * hurry, *given[2:]), named

    def keep(name: str) -> Callable[..., None]:
        def read(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            found[name] = arguments[0]
            if len(found) == len(layers):
                raise _Read

        return read

    places = {name.replace("_orig_mod.", ""): module for name, module in denoiser.named_modules()}
    hooks = [denoiser.register_forward_pre_hook(ask, with_kwargs=True)]
    hooks += [places[name].register_forward_pre_hook(keep(name)) for name in layers]
    try:
        with torch.compiler.set_stance("force_eager"):  # a compiled part would be compiled anew for its hooks
            call()
    except _Read:
        return {name: found[name] for name in layers}, held
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in layers if name not in found]
    raise ValueError(f"{type(denoiser).__name__} draws without {missing[0]}, so an edit of it would change nothing")


def call_unet(pipe: Any, hidden: Tensor, step: int = 1) -> Any:
    """Call a UNet on encoded sentences and the smallest latent it takes.

    Args:
        hidden: ``(m, T, d)`` of the text encoders.
        step: timestep; the latent is filled with its hundredth part.
    """
    unet: Any = denoiser_of(pipe)
    config = unet.config
    rows = hidden.to(unet.device, unet.dtype)
    side = 2 ** (len(config.down_block_types) - 1)
    latent = torch.full((len(rows), config.in_channels, side, side), step / 100, dtype=rows.dtype, device=rows.device)
    further: dict[str, Any] = {}
    if getattr(config, "addition_embed_type", None) == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        further["added_cond_kwargs"] = {
            "text_embeds": rows.new_zeros(len(rows), pooled),
            "time_ids": rows.new_zeros(len(rows), 6),
        }
    if getattr(config, "num_class_embeds", None):
        further["class_labels"] = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    return unet(latent, torch.tensor(step, device=rows.device), encoder_hidden_states=rows, **further)


def call_pipeline(pipe: Any, prompts: Sequence[str], seed: int = 0) -> Any:
    """Ask a pipeline for one step of the smallest pictures of prompts, without guidance.

    Everything before the denoiser is the pipeline's own: instructions around a prompt, encoders, masks.

    Raises:
        ValueError: the pipeline needs more than prompts.
    """
    config: Any = denoiser_of(pipe).config
    side = math.lcm(2 * max(2, getattr(config, "patch_size", 1)) * pipe.vae_scale_factor, 32)  # Sana refuses others
    known = known_of(pipe)
    wishes: dict[str, Any] = {
        "height": side,
        "width": side,
        "num_inference_steps": 1,
        "true_cfg_scale" if "true_cfg_scale" in known else "guidance_scale": 1.0,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(seed),
    }
    with _silent(pipe):
        try:
            return pipe(
                prompt=list(prompts),
                **{name: value for name, value in wishes.items() if name in known},
                **as_asked(pipe),
            )
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{type(pipe).__name__} does not draw from a prompt alone ({error})") from error


@contextmanager
def _silent(pipe: Any) -> Iterator[None]:
    """Hide the pipeline's bar for a while."""
    before = dict(getattr(pipe, "_progress_bar_config", {}))
    pipe.set_progress_bar_config(disable=True)
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**before)


def alike(found: dict[str, Tensor]) -> Groups:
    """Group layers that read the very same tensor, in their order; layers that read equal ones are one group too."""
    groups: dict[str, list[str]] = {}
    for name, rows in found.items():
        first = next((n for n in groups if found[n] is rows or _same(found[n], rows)), name)
        groups.setdefault(first, []).append(name)
    return {name: tuple(names) for name, names in groups.items()}


def _same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.equal(first, second)
