"""Names in, a patch out: the way from ``targets`` to edited weights.

``erase`` gathers and hands on to ``solve`` (in ``stages`` where the method has them); ``memory`` keeps what was
gathered so that more can be erased later, ``sequence`` keeps a new edit off those before it;
``guard`` warns of edits that go too far, ``bench`` times them, ``technique`` offers them to eval-unlearn.
"""
