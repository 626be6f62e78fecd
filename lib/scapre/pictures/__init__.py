"""Prompts in; pictures, verdicts and numbers out.

``generation`` draws a prompt list into a folder, ``farm`` does so on many cores (``places``: what lies in it);
``scoring`` has such folders judged by a judge of ``looking`` (of transformers: ``hub_judges``; NudeNet: ``explicit``);
``judges`` are emoji-sd's own, ``evaluation`` draws and judges the plans of experiments, ``metrics`` turns
verdicts into rates and intervals.
"""
