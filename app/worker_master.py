"""Dramatiq's master with our logs: ``python -m paywindow.worker_master`` takes the arguments of the dramatiq command line.

The master would set up logs of its own, as plain text. It starts the worker processes, which import
``paywindow.actors.worker``.
"""

import runpy
import sys

from paywindow import logs
from paywindow.settings import Role, Settings

if __name__ == "__main__":
    logs.configure(Settings.load(Role.WORKER), "worker")
    sys.argv.append("--skip-logging")
    runpy.run_module("dramatiq", run_name="__main__", alter_sys=True)
