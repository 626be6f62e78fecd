"""The closed forms by name: what each is, its settings, and where its solver is defined. Known without torch."""

from __future__ import annotations

from scapre.methods.method import Method, Settings

_NOISE: Settings = {"noise_sigma": 0.01, "entropy_samples": 20, "entropy_bins": 20}
_GATE: Settings = {"gate_temperature": 1.0, "gate_power": 1.0}
#: methods that are one closed form a weight
SOLVERS: dict[str, Method] = {
    "staged": Method(
        "ours: in stages, the text encoder's first feed-forwards, then the UNet; the encoder's vocabulary stays",
        {
            # chosen on the validation concepts: notebook 09
            "blocks": 4,
            "inner_ridge": 0.3,
            "inner_retain_scale": 6.0,
            "ridge": 80.0,
            "erase_scale": 30.0,
            "retain_scale": 60.0,
            "vocabulary": 0.7,
            "same": 0.75,
            "halfway": 5.0,
        },
        "closed.staged:staged_solver",
        {"inner_ridge": (0.1, 0.3, 1.0), "inner_retain_scale": (3.0, 6.0, 10.0, 15.0)},
        matches=True,
        stages=True,
        templates="sentences",
    ),
    "confined": Method(
        "ours in the UNet alone: confined to the rows that know the concepts, nearest retained concepts as anchors",
        {
            # chosen on the validation concepts: notebook 05
            "ridge": 80.0,
            "erase_scale": 25.0,
            "retain_scale": 20.0,
            "p": 1.0,
            "noise_sigma": 1.0,
            "temperature": 0.7,
            "threshold": 0.0,
            "use_mask": True,
            "bures_iters": 1,
            "alignment": 0.1,
        },
        "closed.confined:confined_solver",
        {"erase_scale": (4.0, 25.0, 60.0, 250.0), "retain_scale": (5.0, 20.0, 80.0)},
        matches=True,
        templates="sentences",
    ),
    "scapre-paper": Method(
        "the paper's equations: spectral trace regulariser, Sylvester solve, Bures geodesic",
        {
            "ridge": 0.5,
            "erase_scale": 1.0,
            "noise_sigma": 0.01,
            "geodesic_time": 0.1,
            "spectral_gate": True,
            "use_mask": True,
        },
        "closed.paper:paper_solver",
        {"ridge": (0.5, 100.0, 300.0, 800.0), "geodesic_time": (0.0, 0.1, 0.5)},
    ),
    "scapre-scale": Method(
        "released code, large tables: masked rows, row systems, Bures row step",
        {"ridge": 0.5, "erase_scale": 3.0, "p": 5.0, "use_mask": True, "bures_iters": 1, "spectral_gate": False}
        | _GATE
        | {"safety_valve": False}
        | _NOISE,
        "closed.released:scale_solver",
        {"ridge": (0.5, 500.0, 2000.0, 8000.0), "erase_scale": (1.0, 3.0, 10.0)},
        draws=True,
    ),
    "scapre-basic": Method(
        "released code, Imagenette: masked ridge regression blended by row entropy",
        {"ridge": 0.5, "erase_scale": 1.0, "p": 2.0, "alpha_min": 0.8, "smooth_spectral": False} | _GATE | _NOISE,
        "closed.released:basic_solver",
        {"ridge": (0.5, 50.0, 150.0, 500.0), "alpha_min": (0.5, 0.8, 1.0)},
        draws=True,
    ),
    "uce": Method(
        "unified concept editing: ridge regression at the last content token",
        {"ridge": 0.5, "erase_scale": 1.0, "retain_scale": 1.0},
        "closed.uce:uce_solver",
        {"ridge": (0.1, 0.5, 2.0, 10.0), "retain_scale": (0.3, 1.0, 3.0)},
    ),
    "rece": Method(
        "UCE, then again on the embeddings that still bring the targets back",
        {"first_ridge": 0.5, "ridge": 0.1, "erase_scale": 1.0, "retain_scale": 0.1, "gamma": 0.1, "epochs": 1},
        "closed.rece:rece_solver",
        {"ridge": (0.1, 50.0, 200.0, 1000.0), "retain_scale": (0.1, 1.0, 10.0)},
        joint=True,
        positions="whole",
    ),
    "speed": Method(
        "ridge regression inside the null space of kept concepts, values only",
        {"tau": 1e-1, "retain_scale": 1.0, "prior_filter": True, "aug_num": 10},
        "closed.speed:speed_solver",
        {"tau": (0.1, 3.0, 30.0), "retain_scale": (0.05, 1.0), "prior_filter": (False, True)},
        {"tau": 1e-4, "retain_scale": 0.05, "prior_filter": False},
        draws=True,
        kinds=("to_v",),
    ),
    "cure": Method(
        "spectral eraser: directions of the forget prompts by their share of energy, less those of kept prompts; "
        "no released code, checked on paper only",
        {"alpha": 2.0, "per_concept": True},
        "closed.cure:cure_solver",
        {"alpha": (2.0, 5.0, 12.0, 25.0, 60.0, 200.0), "per_concept": (False, True)},
        positions="whole",
    ),
    "oce": Method(
        "orthogonal concept erasure: answers are turned, their lengths and angles stay, values only",
        {"erase_scale": 2000.0, "prior_scale": 10.0, "retain_scale": 0.0, "ridge": 10.0, "as_released": True},
        "closed.oce:oce_solver",
        {"erase_scale": (60.0, 200.0, 600.0, 2000.0), "retain_scale": (0.0, 0.3, 1.0)},
        {"erase_scale": 800.0, "prior_scale": 70.0, "retain_scale": 2.0},
        kinds=("to_v",),
        positions="whole",
    ),
    "dp": Method(
        "double projections: targets answer like their part along the anchors, exactly beside what is kept",
        {"energy": 1.0, "damping": 0.0, "project": True},
        "closed.dp:dp_solver",
        {"energy": (0.7, 0.9, 0.99, 1.0), "damping": (0.0, 3.0, 10.0)},
    ),
}


#: methods that set weights to zero
PRUNERS: dict[str, Method] = {
    "fia": Method(
        "forget-it-all: feed-forward weights that targets use and their surroundings do not are set to zero",
        {"share": 0.007, "time_share": 0.05, "agreement": 0.6, "first_steps": 10, "total_steps": 50, "draws": 3},
        "closed.fia:fia_editor",
        {"share": (0.007, 0.03, 0.06, 0.1), "agreement": (0.3, 0.6, 1.0)},
        whole=True,
    ),
}
#: methods that edit the text encoder and no weight of the UNet
ENCODER_EDITS: dict[str, Method] = {
    "emcid-closed": Method(
        "EMCID without its gradient stage: names answer like their anchors in the text encoder's feed-forwards",
        {"blocks": 11, "retain_scale": 10000.0, "as_released": True},
        "closed.emcid:emcid_editor",
        {"blocks": (2, 11), "retain_scale": (1.0, 1000.0, 10000.0), "as_released": (False, True)},
        matches=True,
        whole=True,
        templates="sentences",
    ),
}
CLOSED = SOLVERS | PRUNERS | ENCODER_EDITS
