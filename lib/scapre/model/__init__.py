"""A folder or hub id in; a pipeline, its editable weights W₀ and pictures of prompts out.

``backbones`` loads, ``projections`` names, reads and writes the ``to_k`` and ``to_v`` matrices, ``sampling`` draws.
"""
