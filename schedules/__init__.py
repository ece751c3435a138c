"""Periodic work: the table of what runs how often, and the runner that enqueues it."""
