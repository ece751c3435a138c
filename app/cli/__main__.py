"""``python -m paywindow.cli``: the same as ``paywindow``, for when the script is not on PATH."""

from paywindow.cli import main

main()
