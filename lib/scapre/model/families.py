"""How transformers that draw read text: what can be edited in them, known from their class before a weight is read."""

from __future__ import annotations

from dataclasses import dataclass

#: how the names of a transformer's weights that are edited begin, and no weight's of a UNet
BEGINNINGS = ("transformer_blocks", "blocks", "layers", "context_embedder", "time_text_embed", "txt_in")
#: said with every edit of a transformer whose text and picture attend to each other
EXPERIMENTAL = (
    "experimental: {} mixes text with the picture in every block; text alone reaches only {}, which is what is edited, "
    "and whether that makes the model forget is not measured"
)


@dataclass(frozen=True)
class Family:
    """What reads text in one kind of transformer.

    Attributes:
        title: the name people know it by.
        tokens: what stands side by side in the rows a layer reads: (the pipeline's tokenizer, the denoiser's argument
            that masks its padding; empty: nothing does).
        first: the linear maps that read text no picture has touched; empty: every ``to_v`` and ``to_k`` of the
            cross-attention does.
        loads: its pipelines load adapters (``load_lora_weights``); else peft does.
        side: another way of the text into the picture, which no edit touches; empty: there is none.
    """

    title: str
    tokens: tuple[tuple[str, str], ...]
    first: tuple[str, ...] = ()
    loads: bool = False
    side: str = ""

    @property
    def note(self) -> str:
        """What must be said with every edit; empty: nothing."""
        return EXPERIMENTAL.format(self.title, " and ".join(f"`{name}`" for name in self.first)) if self.first else ""


_POOLED = "time_text_embed.text_embedder.linear_1"
_SIDE = "{} also reads the text of {} as a whole, through `{}`; the edit leaves that path as it was."
#: the transformer's class → what is known of it
FAMILIES: dict[str, Family] = {
    "PixArtTransformer2DModel": Family("PixArt", (("tokenizer", "encoder_attention_mask"),)),
    "SanaTransformer2DModel": Family("Sana", (("tokenizer", "encoder_attention_mask"),), loads=True),
    "HunyuanDiT2DModel": Family(
        "HunyuanDiT",
        (("tokenizer", "text_embedding_mask"), ("tokenizer_2", "text_embedding_mask_t5")),
        side=_SIDE.format("HunyuanDiT", "mT5", "time_extra_emb.pooler"),
    ),
    "LuminaNextDiT2DModel": Family(
        "Lumina-Next",
        (("tokenizer", "encoder_mask"),),
        side=_SIDE.format("Lumina-Next", "Gemma", "time_caption_embed"),
    ),
    "SD3Transformer2DModel": Family(
        "Stable Diffusion 3", (("tokenizer", ""), ("tokenizer_3", "")), ("context_embedder", _POOLED), loads=True
    ),
    "FluxTransformer2DModel": Family("FLUX.1", (("tokenizer_2", ""),), ("context_embedder", _POOLED), loads=True),
    "QwenImageTransformer2DModel": Family(
        "Qwen-Image", (("tokenizer", "encoder_hidden_states_mask"),), ("txt_in",), loads=True
    ),
}


def refusal(pipeline: str, transformer: str | None) -> str:
    """Say why a pipeline is not edited: it has neither a UNet nor a transformer, or one of another kind."""
    remedy = f"use Stable Diffusion 1.x, 2.x, SDXL, or one of {', '.join(f.title for f in FAMILIES.values())}"
    if transformer is None:
        return f"{pipeline} has no UNet and no transformer to edit; {remedy}"
    return f"{pipeline}: where {transformer} reads text that no picture has touched is not known here; {remedy}"
