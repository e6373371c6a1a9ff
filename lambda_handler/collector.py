"""When Python looks for garbage in a function that starts.

Imports make a hundred thousand objects that stay, and the collector goes through them again and again while they come:
a twentieth of a cold start, in which it finds nothing.
"""

import gc
import os
from typing import Final

AT_THE_START: Final = 100_000
"""New objects until it looks, instead of 700; still so many at most, should the first answer be a long one."""

_usual: tuple[int, int, int] | None = None


def put_off() -> None:
    """Until the first invocation has ended; only where Lambda's runtime, real or emulated, imports the function."""
    global _usual
    if _usual is None and "AWS_LAMBDA_RUNTIME_API" in os.environ:
        _usual = gc.get_threshold()
        gc.set_threshold(AT_THE_START)


def resume() -> None:
    """As usual from now on, without what is there already: it stays for as long as the function."""
    global _usual
    if _usual is not None:
        gc.freeze()
        gc.set_threshold(*_usual)
        _usual = None
