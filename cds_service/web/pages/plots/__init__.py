"""Plots: readings, limits and stretches of time in, SVG out. Pure.

What is drawn scales with the page: along the time in shares of its width, so that text,
dots and hatching keep their size on a phone and in print.
"""
