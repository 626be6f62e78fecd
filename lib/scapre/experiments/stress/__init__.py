"""What an edited model still knows: probes, their controls, one table and one verdict.

A pipeline and a target enter a probe, pictures and the steps they cost leave it (``probe``); ``names``, ``prompts``,
``inversion``, ``trajectories``, ``relearning`` and ``parts`` are the probes, ``probes`` lists them.
``run`` asks all of an edited model and of its controls, ``report`` says what was found.
"""
