"""A question in, a table out.

``cases`` and ``ablation`` list the edits a question needs, ``sweep`` makes, judges and remembers each of them;
``protocols`` says what published tables measure, ``protocol_run`` does it whole; ``exploration`` looks at one edit from
every side (strength s), ``explorer`` puts widgets around it.
"""
