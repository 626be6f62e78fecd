"""A folder or hub id in; a pipeline, its editable weights W₀ and pictures of prompts out.

``places`` says which model is meant, ``backbones`` loads it; ``weights`` reads and writes any weight by name,
``projections`` names those that read text, in transformers as ``families`` says, ``capture`` shows what they read,
``fingerprint`` knows them again; ``sampling`` draws, ``shapes`` are the sizes of real models.
"""
