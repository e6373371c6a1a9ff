"""What a process that was forked off (a pre-forking server's worker, `multiprocessing`) has to begin anew.

Of the parent's threads it has one. A lock that another one held is never released in it, and a connection is the
parent's.
"""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Renewed(Protocol):
    """Something that a forked process cannot take over as it is."""

    def after_fork(self) -> None:
        """Begins anew, in the child, before any code of its own runs."""
        ...


_things: Final[WeakSet[Renewed]] = WeakSet()


def renew_in_children(thing: Renewed) -> None:
    """Has `thing.after_fork` called in every process that is forked off while it lives; it is not kept alive."""
    _things.add(thing)


def _renew() -> None:
    for thing in list(_things):
        thing.after_fork()


os.register_at_fork(after_in_child=_renew)
