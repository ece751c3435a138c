"""``paywindow doctor``: is everything there that paywindow needs, and set up as it needs it?

One module a dependency; each yields findings and can do without the others. :mod:`.command` runs them side by side.
"""
