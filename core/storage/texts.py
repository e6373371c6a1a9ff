"""How a text is kept: as it is when short, compressed when that saves something."""

import zlib
from typing import Final

PLAIN: Final = 0
ZLIB: Final = 1

_WORTH_TRYING: Final = 512
"""Of less, it saves a hundred bytes or two, in a row of a page of 8,192."""
_LEVEL: Final = 1
"""Level 6 saves 8 % more on prompts and takes three times as long."""


def pack(text: str) -> tuple[int, bytes]:
    """The encoding's number and the bytes. A lone surrogate, which UTF-8 cannot hold, becomes "?"."""
    body = text.encode("utf-8", errors="replace")
    if len(body) < _WORTH_TRYING:
        return PLAIN, body
    packed = zlib.compress(body, _LEVEL)
    return (ZLIB, packed) if len(packed) < len(body) else (PLAIN, body)


def unpack(encoding: int, body: bytes) -> str:
    """The text again. Raises ValueError for an encoding that only a newer program knows."""
    match encoding:
        case 0:
            return bytes(body).decode()
        case 1:
            return zlib.decompress(body).decode()
        case _:
            raise ValueError(f"unknown encoding {encoding} of a stored text")


def storable(text: str) -> str:
    """The text without what no database column takes: NUL becomes a space, a lone surrogate "?"."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", " ").encode("utf-8", errors="replace").decode()
