"""Weights before and after in; files that others load out.

``patch`` keeps W₀ and W, applies, undoes, scales and joins edits; ``adapters`` factorises W − W₀ (LoRA, DoRA),
``places`` finds and checks what is asked for, ``export`` writes folders that stock diffusers reads, ``card`` says
what was erased and what gets around it.
"""
