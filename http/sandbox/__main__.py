"""``python -m paywindow.sandbox``: the sandbox as a process of its own."""

import argparse
import logging
import sys
from pathlib import Path

from paywindow.sandbox.app import run
from paywindow.sandbox.config import SandboxConfig


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until SIGTERM."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = SandboxConfig(
        webhook_url=options.webhook_url,
        webhook_secrets=tuple(options.webhook_secret),
        fee_delay=options.fee_delay,
        refund_delay=options.refund_delay,
        rate_limit=options.rate_limit,
        public_url=options.public_url,
    )
    run(config, options.host, options.port, lambda port: _announce(options.host, port, options.port_file))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paywindow.sandbox", description="A Stripe look-alike for development.")
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost", "::1"), help="loopback only")
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--port-file", type=Path, help="written with the bound port once the sandbox listens")
    parser.add_argument("--webhook-url", help="where events are sent from the start")
    parser.add_argument(
        "--webhook-secret", action="append", default=[], metavar="WHSEC", help="signing secret; twice during a roll"
    )
    parser.add_argument("--fee-delay", type=float, metavar="SECONDS", help="when fees become known; else on demand")
    parser.add_argument("--refund-delay", type=float, metavar="SECONDS", help="when refunds settle; else on demand")
    parser.add_argument("--rate-limit", type=float, metavar="PER_SECOND", help="requests per second and key")
    parser.add_argument("--public-url", help="base of the hosted page's address, behind a proxy")
    return parser


def _announce(host: str, port: int, port_file: Path | None) -> None:
    sys.stdout.write(f"Stripe sandbox listens on http://{f'[{host}]' if ':' in host else host}:{port}\n")
    sys.stdout.flush()
    if port_file is not None:
        # Renamed into place, so that whoever waits for the file never reads half a number.
        draft = port_file.with_name(port_file.name + ".tmp")
        draft.write_text(f"{port}\n")
        draft.replace(port_file)


if __name__ == "__main__":
    main()
