"""The API is what its document says: generated requests against the running installation, and a generated client."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Every rule that a schema cannot state, and the status that a request within the schema may get for it.
BEYOND_THE_SCHEMA = {
    # An amount in the currency's decimals, a fee within the amount, addresses of the allow-list.
    "POST /payments/checkout/create": 422,
    # Exactly one of minutes and until, and until in the future.
    "POST /payments/checkout/{id}/extend": 422,
    "POST /payments/checkout/{id}/reopen": 422,
    # Addresses of the allow-list, and given unless configured.
    "POST /payments/makers/{id}/account": 422,
    # Exactly one of sessionId and transactionId; an amount in the payment's decimals.
    "POST /payments/refunds": 422,
    # Only Stripe can sign.
    "POST /payments/webhooks/stripe": 400,
}
ACCEPTED = ["2xx", 302, 304, 401, 403, 404, 409]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    printed = subprocess.run([sys.executable, "-m", "paywindow.cli", "openapi"], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


def configuration(document: dict[str, Any], ids: list[str]) -> str:
    """How schemathesis is told which ids exist, and what each operation may refuse."""
    lines = [f"[dictionaries.ids]\nvalues = {json.dumps(ids)}"]
    for path, methods in document["paths"].items():
        for method in methods:
            name = f"{method.upper()} {path}"
            accepted = [*ACCEPTED, BEYOND_THE_SCHEMA[name]] if name in BEYOND_THE_SCHEMA else ACCEPTED
            lines.append(
                f"[[operations]]\ninclude-name = {json.dumps(name)}\n"
                f"checks.positive_data_acceptance.expected-statuses = {json.dumps(accepted)}"
            )
            if "{id}" in path:
                lines.append('parameters."path.id" = { dictionary = "ids", probability = 0.8 }')
    return "\n".join(lines)


def existing_ids(shop: Any) -> list[str]:
    """A session in each of several states, a receipt, and an operation."""
    paid, declined, expired, pending = shop.open_sessions(4)
    shop.pay(paid)
    shop.pay(declined, card="4000000000000002")
    shop.call("POST", f"/payments/checkout/{expired['paymentSession']['id']}/expire", json={"reason": "a test"})
    receipt = shop.await_receipt(paid)["receipt"]
    shop.await_status(declined, "failed")
    (operation, *_) = shop.rows("SELECT id FROM operations ORDER BY created_at LIMIT 1")
    sessions = [each["paymentSession"]["id"] for each in (paid, declined, expired, pending)]
    return [*sessions, receipt["id"], str(operation["id"])]


@pytest.mark.parametrize(
    "authenticated, phases, examples",
    [(True, "examples,coverage,fuzzing,stateful", 6), (False, "examples,fuzzing", 3)],
    ids=["with a key", "without"],
)
def test_generated_requests_find_no_difference_between_api_and_document(
    shop: Any, document: dict[str, Any], tmp_path: Path, authenticated: bool, phases: str, examples: int
) -> None:
    (tmp_path / "schemathesis.toml").write_text(configuration(document, existing_ids(shop)))
    key = ["--header", f"Authorization: Bearer {shop.stack.service_key}"] if authenticated else []

    done = run_tool(
        *("schemathesis.cli", "run", f"{shop.stack.front_url}/openapi.json", "--header", "Prefer: wait=5", *key),
        *(
            "--checks",
            "all",
            "--phases",
            phases,
            "--max-examples",
            str(examples),
            "--seed",
            "1",
            "--continue-on-failure",
        ),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def client(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a client that was generated from the document."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "configuration.yml").write_text("post_hooks: []")
    done = run_tool(
        *("openapi_python_client", "generate", "--path", "openapi.json", "--config", "configuration.yml"),
        *("--meta", "none", "--output-path", "paywindow_client", "--fail-on-warning"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "use.py").write_text(USE)
    return folder


#: A program as somebody might write it with the generated client.
USE = """\
import sys
from uuid import uuid4

from paywindow_client.api.payment_sessions import get_checkout_status, post_checkout_create
from paywindow_client.client import AuthenticatedClient
from paywindow_client.models import CheckoutCreated, CreateCheckout, SessionStatus

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
body = CreateCheckout(auction_id=uuid4(), buyer_id=uuid4(), currency="USD", amount=275.5)
created = post_checkout_create.sync(client=client, body=body, idempotency_key=str(uuid4()))
assert isinstance(created, CheckoutCreated), created
found = get_checkout_status.sync(id=created.payment_session.id, client=client)
assert isinstance(found, SessionStatus), found
print(found.payment_session.status.value, found.payment_session.amount)
"""


def test_a_generated_client_passes_its_type_check(client: Path) -> None:
    done = run_tool("mypy", "--strict", "-p", "paywindow_client", "-m", "use", cwd=client)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_generated_client_buys(shop: Any, client: Path) -> None:
    done = subprocess.run(
        [sys.executable, "use.py", shop.stack.front_url, shop.stack.service_key],
        cwd=client,
        capture_output=True,
        text=True,
    )

    assert done.stdout.split() == ["pending", "275.5"], done.stderr


def run_tool(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=cwd, capture_output=True, text=True)
