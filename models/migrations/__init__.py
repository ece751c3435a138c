"""Numbered migrations, each a frozen copy of what it creates; run by :mod:`paywindow.models.migrate`."""
