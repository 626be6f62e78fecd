"""Tables in; figures, executed notebooks and pages out. Nothing is measured here.

``workbook`` is what every notebook opens with, ``figures`` and ``grids`` draw, ``runner`` executes notebooks, ``site``
builds them into pages.
"""
