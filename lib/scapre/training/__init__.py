"""Real pictures and captions in; emoji-sd, its judges and its card out.

``recipe`` runs the stages ``vae``, ``judges``, ``text`` and ``unet`` on one ``loop``; ``augment`` and ``captions``
make the samples, ``card`` measures the result and describes it.
"""
