"""Telling the marketplace: where notifications go (*sinks*), and how each of them is given one."""
