"""Names in, a patch out: the way from ``targets`` to edited weights.

``erase`` gathers, solves and returns; ``memory`` keeps what was gathered so that more can be erased later;
``guard`` warns of edits that go too far, ``bench`` times them, ``technique`` offers them to eval-unlearn.
"""
