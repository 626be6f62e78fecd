"""A pipeline and a wish in; edited weights W of its UNet out, after training.

``names`` lists the erasers, one file each: a loss, what it moves, a schedule; ``run`` runs one. ``eraser`` is what
they share, ``on_pictures`` what those share that train on pictures (``drawing``), ``loop`` takes their steps.
``denoiser`` is the frozen model ε₀, ``student`` the copy that learns, ``lora`` its adapters, ``masks`` and
``attention`` what several need.
"""
