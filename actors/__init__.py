"""The actors: everything that happens, as stateless units that may run twice.

Each module docstring names the trigger, the transition, the Stripe call with its key, and what a second run does. Actors
are plain functions; :func:`declare` makes Dramatiq actors of them when a worker boots, so importing them has no effect.
"""
