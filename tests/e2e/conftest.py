"""The real thing: every process of an installation, driven over HTTP as a marketplace, a buyer and Stripe would.

Starting it takes seconds, so each parallel pytest worker has one installation for all its tests. A test may stop, freeze
or kill any process of it; what is not running afterwards is started again.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from support.installation import Installation, installed, until


@pytest.fixture(scope="session")
def open_installation(
    tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]
) -> Callable[..., AbstractContextManager[Installation]]:
    """Starts an installation of one's own; further settings as keyword arguments."""

    def installation(**settings: str) -> AbstractContextManager[Installation]:
        return installed(tmp_path_factory.mktemp("installation"), require_program("wkhtmltopdf"), **settings)

    return installation


@pytest.fixture(scope="session")
def _installation(
    open_installation: Callable[..., AbstractContextManager[Installation]],
) -> Iterator[Installation]:
    with open_installation(PAYMENT_SAVE_METHODS="true") as installation:
        yield installation


@pytest.fixture
def shop(_installation: Installation) -> Iterator[Installation]:
    """This worker's installation, whole."""
    yield _installation
    _installation.repair()


@pytest.fixture(name="until", scope="session")
def _until() -> Callable[[Callable[[], Any], str], Any]:
    """Wait for a condition: ``until(lambda: ..., "what is waited for")``."""
    return until
