"""What tests stand on is the same in every process: no model, vocabulary or draw differs between two runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from toys import WORDS, tiny_tokenizer

BUILT = """
import json
from families import small_pipeline
from scapre.model.fingerprint import fingerprint
from scapre.training.recipe import vocabulary
from scapre.training.text import new_tokenizer
from toys import statistics, tiny_pipe, tiny_xl_pipe

pipes = {"tiny": tiny_pipe(), "tiny xl": tiny_xl_pipe(), "sd1": small_pipeline("sd1")}
for name, pipe in pipes.items():
    print(name, fingerprint(pipe.unet.state_dict()), fingerprint(pipe.text_encoder.state_dict()))
    print(name, json.dumps(pipe.tokenizer.get_vocab(), sort_keys=True), pipe.tokenizer(["a red boat"]).input_ids)
print("statistics", fingerprint({"gram": statistics().gram, "cross": statistics().cross}))
print("trained tokenizer", new_tokenizer(vocabulary(), 600).backend_tokenizer.to_str())
"""


@pytest.mark.slow
def test_two_processes_build_the_same() -> None:
    path = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {path!r})\n{BUILT}"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    first, second = (run.communicate()[0].splitlines() for run in runs)
    assert len(first) == 8
    for one, other in zip(first, second, strict=True):
        assert one == other, one[:60]


def test_every_word_is_one_token() -> None:
    tokenizer = tiny_tokenizer()
    for word in " ".join(WORDS).split():
        assert len(tokenizer.tokenize(word)) == 1, word
    assert len(tokenizer.tokenize("cup")) == 3
