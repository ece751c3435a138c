"""The sandbox as a process: ``python -m paywindow.sandbox``."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import stripe

from paywindow.sandbox.control_client import ControlClient


def test_the_process_writes_its_port_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "paywindow.sandbox", "--port", "0", "--port-file", str(port_file)]
    webhook = ["--webhook-url", "http://127.0.0.1:9/", "--webhook-secret", "whsec_a", "--webhook-secret", "whsec_b"]
    process = subprocess.Popen(command + webhook, stdout=subprocess.PIPE, text=True)
    try:
        pause = threading.Event()
        while not port_file.exists():
            assert process.poll() is None
            pause.wait(0.01)
        url = f"http://127.0.0.1:{int(port_file.read_text())}"
        client = stripe.StripeClient("sk_test_process", base_addresses={"api": url})
        assert client.v1.accounts.retrieve_current().country == "US"
        assert ControlClient(url).webhooks()["endpoints"][0]["secrets"] == ["whsec_a", "whsec_b"]
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    assert process.returncode == 0
    assert output == f"Stripe sandbox listens on {url}\n"
