"""Every page, card, figure and printed summary: a result becomes blocks, and blocks a format.

matplotlib and Jinja2 are imported only when something is drawn or a page is written.
"""
