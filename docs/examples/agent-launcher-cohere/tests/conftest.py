"""What these tests need beside the contract suite: a vendor to play, and no key of the developer's."""

from collections.abc import Generator

import pytest

from tests.support.vendor_server import VendorServer


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor an address comes from the environment."""
    for name in ("CO_API_KEY", "COHERE_API_KEY", "CO_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vendor() -> Generator[VendorServer]:
    """A server whose every answer the test writes down."""
    with VendorServer() as server:
        yield server
    assert server.unexpected == []
