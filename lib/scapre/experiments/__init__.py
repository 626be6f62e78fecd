"""A question in, a table out.

``cases``, ``tries`` and ``ablation`` list the edits a question needs, ``gating`` lets an edit through row by row,
``sweep`` makes, judges and remembers each of them; ``protocols`` says what published tables measure, ``protocol_run``
does it whole; ``exploration`` looks at one edit from every side (strength s), ``explorer`` puts widgets around it.
"""
