"""Files in; names, sentences and real pictures out.

``lists`` reads and checks names (targets, retained, anchors) and holds the sentences they are put into,
``prompts`` reads the field's prompt files, ``emoji`` the pictures emoji-sd learned from, ``npm`` where they come from.
"""
