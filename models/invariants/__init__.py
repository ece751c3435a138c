"""What must hold among the rows of Postgres: one statement an invariant, run over a table a batch at a time.

:mod:`.rules` has the form of a rule and runs it; the other modules are the rules, by subject. The names of the invariants are
explained in :mod:`paywindow.invariants`; :mod:`paywindow.actors.auditor` puts it all together. Nothing here writes.
"""
