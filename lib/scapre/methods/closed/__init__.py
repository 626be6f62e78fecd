"""Closed forms: one linear system or decomposition a prompt set, shared by all rows and layers.

``names`` lists them. Statistics (S, X, C, C*, R) go in; a solver leaves that maps W₀ to W. ``confined`` is ours,
``paper`` and ``released`` are ScaPre's two formulations, the others are the peers of the field.
"""
