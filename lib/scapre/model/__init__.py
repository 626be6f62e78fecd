"""A folder or hub id in; a pipeline, its editable weights W₀ and pictures of prompts out.

``backbones`` loads, ``weights`` reads and writes any weight by name, ``projections`` names the ``to_k`` and ``to_v``
matrices, ``sampling`` draws.
"""
