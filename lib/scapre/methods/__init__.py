"""Moments and a weight W₀ in; a solution W out.

``registry`` finds a formulation (``method``) and completes its settings (λ, η, ρ, …; ``values``), ``solution`` says
what each returns and measures residual and drift. ``closed`` holds the formulations that are one formula and need no
training, ``trained`` those that train: each a loss, what it moves and a schedule, on one loop.
"""
