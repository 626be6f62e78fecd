"""Make a text-to-image diffusion model forget many concepts, and forget right.

Notation (rows are samples; the papers' column matrices are our transposes):

    targets    C   (m, d)       features of concepts to forget, last content token
    anchors    C*  (m, d)       what replaces them
    contexts   c_{k,t}, ñ_t     paired positions of target and replacement
    retained   R   (r, d)       concepts to keep
    null       e₀  (d,)         position 1 of the empty prompt, ``blank (T, d)``
    gram       S   (d, d)       Σ c cᵀ over all contexts of the targets
    cross      X   (d, d)       Σ ñ cᵀ; a layer's right-hand side is W₀X
    basis      U   (d, k)       orthonormal basis of the targets, Π = UUᵀ
    weight     W₀  (d_out, d)   one cross-attention to_k or to_v, or a first linear map; edited: W
    gate       m   (d_out,)     how much a row knows the targets, in [0, 1]
    keys       k   (f,)         what the second linear map of a text encoder's feed-forward reads; kept: K (f, f)
    wish       v   (d,)         what a block should add, so that a target leaves it as its anchor does
    ridge λ, alignment μ, erase_scale η, retain_scale ρ
    residual                    what is left to change: ‖W Cᵀ − W₀ C*ᵀ‖ / ‖W₀ Cᵀ − W₀ C*ᵀ‖
    drift                       ‖W − W₀‖ / ‖W₀‖
"""

import lazy_loader

# every name is imported when it is first asked for, so that the command line answers at once; __init__.pyi lists them
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
