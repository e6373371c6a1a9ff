"""The SDKs' clients that a provider keeps: one for each key and address, the least lately used one goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from core.forks import renew_in_children

MAX_CLIENTS: Final = 64
"""Clients kept; they share their connections, so another one is cheap."""

NO_KEY: Final = "no-key"
"""What an SDK that insists on a key is given for a server that wants none; the header is left out."""

Key = TypeVar("Key", bound=Hashable)
Client = TypeVar("Client")


class ClientCache(Generic[Key, Client]):
    """Shared by threads; clients are made one at a time, which some SDKs need."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[Key, Client] = OrderedDict()
        renew_in_children(self)

    def get(self, key: Key, build: Callable[[], Client]) -> Client:
        """The client for this key, made by `build` if there is none; raises what that raises."""
        with self._lock:
            client = self._clients.get(key)
            if client is not None:
                self._clients.move_to_end(key)
                return client
            client = self._clients[key] = build()
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client

    def after_fork(self) -> None:
        """See `core.forks`; the clients may have locks of their own."""
        self._lock = threading.Lock()
        self._clients = OrderedDict()
