"""A stateful, in-memory Stripe look-alike for development and tests.

It speaks Stripe's HTTP API to the real ``stripe`` SDK, serves a hosted Checkout page with Stripe's test cards, and
sends signed, retried webhooks. What Stripe would refuse, it refuses; what it does not model, it refuses loudly instead
of ignoring. Faults, webhook disorder and time are on demand, through ``/_sandbox/``.

Start it with ``python -m paywindow.sandbox``, :func:`paywindow.sandbox.app.run`, or inside a test with
:class:`paywindow.sandbox.server.SandboxServer`. It imports nothing else of paywindow, so that both can be wrong only
separately.
"""
