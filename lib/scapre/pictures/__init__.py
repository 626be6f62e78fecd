"""Prompts in; pictures, verdicts and numbers out.

``generation`` draws a prompt list into a folder and scores it, ``farm`` does so on many cores (``places``: what lies
in it); ``judges`` name what they see, ``evaluation`` draws and judges the plans of experiments, ``metrics`` turns
verdicts into rates and intervals.
"""
