"""A folder or hub id in; a pipeline, its editable weights W₀ and pictures of prompts out.

``places`` says which model is meant, ``backbones`` loads it; ``weights`` reads and writes any weight by name,
``projections`` the ``to_k`` and ``to_v`` matrices, ``fingerprint`` knows them again; ``sampling`` draws, ``shapes`` are
the sizes of real models.
"""
