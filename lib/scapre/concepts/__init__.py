"""Files in; names, sentences and real pictures out.

``tables`` (with ``delimited``) reads what people bring as a table: ``lists`` of concepts, and ``prompts``. ``names``
says which names are one and which lists of them (targets, retained, anchors) mean something; ``lists`` holds the
sentences they are put into, ``styles`` what replaces a style, ``emoji`` the pictures emoji-sd learned from, ``npm``
where they come from.
"""
