"""Words a user may type wrongly, and what the answer must say."""

from __future__ import annotations

ERASE = ["erase", "--targets", "dog", "--out", "x.safetensors"]
MISTAKES = [
    (["erase", "--out", "x.safetensors"], "error: name what to erase with --targets or --targets-file"),
    (["erase", "--targets", "a", "--targets-file", "b", "--out", "x.safetensors"], "not both"),
    (["erase", "--targets", "dog", "--out", "x.bin"], "error: a patch file ends in .safetensors"),
    (["erase", "--targets", "dog, dog", "--out", "x.safetensors"], "dog more than once"),
    ([*ERASE, "--retain", "cat, dog"], "dog: both target and retained"),
    ([*ERASE, "--method", "magic"], "unknown method 'magic'"),
    ([*ERASE, "--templates", "poems"], "unknown templates 'poems'; known: name"),
    ([*ERASE, "--anchors", "cat, fox"], "2 anchors for 1 targets"),
    ([*ERASE, "-s", "lamb=1"], "no setting lamb"),
    ([*ERASE, "-s", "ridge"], "cannot read the setting 'ridge'"),
    ([*ERASE, "-s", "ridge=0"], "ridge must be positive"),
    ([*ERASE, "--method", "esd", "-s", "nonsense=1"], "esd has no setting nonsense; it knows steps"),
    ([*ERASE, "--method", "salun", "-s", "batch=0"], "batch of salun must be at least 1"),
    ([*ERASE, "--method", "spm", "-s", "composition=printd"], "composition of spm is one of printed, released"),
    ([*ERASE, "--method", "mace", "-s", "trained=unet"], "trained of mace is one of as-published, kv"),
    (["erase", "--targets-file", "nothing", "--out", "x.safetensors"], "no concept file 'nothing'; known:"),
    ([*ERASE, "--earlier", "absent.memory"], "there is no memory file absent.memory"),
    ([*ERASE, "--revoke", "dog"], "name it with --earlier"),
    (
        ["erase", "--out", "x.safetensors", "--earlier", "m", "--revoke", "dog", "--retain", "cat"],
        "are for new targets",
    ),
    ([*ERASE, "--after", "absent.safetensors"], "staged edits more than to_k and to_v"),
    ([*ERASE, "--method", "dp", "--after", "absent.safetensors"], "there is no patch file absent.safetensors"),
    ([*ERASE, "--method", "dp", "--after", "a.safetensors", "--earlier", "m"], "leave --after or the memory out"),
    ([*ERASE, "--model", "absent/x/y"], "no model folder absent/x/y"),
    ([*ERASE, "--device", "abacus"], "the device 'abacus' cannot"),
    (["apply", "--patch", "absent.safetensors", "--out", "y"], "there is no patch file absent.safetensors"),
    (["undo", "--model", "absent/x/y", "--patch", "absent.safetensors", "--out", "y"], "there is no patch file"),
    (["inspect", "absent.safetensors"], "there is no patch file"),
    (["export", "absent.safetensors", "--out", "y"], "there is no patch file"),
    (["stress", "--patch", "absent.safetensors", "--out", "y"], "there is no patch file absent.safetensors"),
    (
        ["stress", "--patch", "a.safetensors", "--out", "y", "--probes", "poison"],
        "unknown probe 'poison'; known:",
    ),
    (["stress", "--patch", "a.safetensors", "--out", "y", "--budget", "vast"], "unknown budget 'vast'; known: small"),
    (["ranks", "--targets-file", "nothing"], "no concept file 'nothing'; known:"),
    (["generate", "--prompts", "absent.csv", "--out", "y"], "there is no prompt file absent.csv"),
    (["score", "absent"], "has no generation.json"),
    (["bench", "--model", "sd9"], "unknown model 'sd9'"),
    (["bench", "--method", "magic"], "unknown method 'magic'"),
    (["families", "--method", "magic"], "unknown method 'magic'"),
    (["run", "99"], "no notebook named '99'"),
    (["run", "--profile", "grand"], "no notebook has a profile 'grand'"),
    (["train", "legs"], "unknown part 'legs'; known: autoencoder"),
]
#: what the command line itself refuses, with its usage
USAGE = [
    ["erase", "--targts", "dog"],
    ["erase", "--targets", "dog"],
    [*ERASE, "--dtype", "float7"],
    ["apply", "--patch", "a.safetensors", "--out", "y", "--strength", "2"],
    ["generate", "--prompts", "a.csv", "--out", "y", "--steps", "0"],
    ["ease"],
]
