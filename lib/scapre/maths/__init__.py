"""Matrices in, matrices out: the mathematics on its own, with torch and nothing else.

``linalg`` solves and decomposes (basis U, generalised eigenvectors V, θ), ``bures`` measures and aligns with
step μ, ``row_gates`` says how much each row of a weight knows the concepts: the information I and the gate m.
"""
