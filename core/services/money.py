"""Nano-dollars to exact decimal text and JSON; how money looks on screen is the dashboard's business."""

import json
import re
import secrets
from decimal import Decimal
from typing import Final

from core.pricing.rates import NANOUSD_PER_USD

# `json` writes no Decimal. Each goes through it as a text that no one else can have written, and then loses
# its quotes.
_NUMBER: Final = secrets.token_hex(16)
_NUMBER_AS_TEXT: Final = re.compile(rf'"{_NUMBER}(-?[0-9.]+)"')


def usd(nanousd: int) -> Decimal:
    """The exact amount in US dollars."""
    return Decimal(nanousd) / NANOUSD_PER_USD


def usd_text(nanousd: int) -> str:
    """The exact amount as plain decimal digits, without an exponent and without trailing zeros: `0.00042`."""
    text = f"{usd(nanousd):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_json(value: object, *, indent: int | None = None) -> str:
    """JSON in which each Decimal is a number with exactly its digits (`0.00042`), never a rounded float.

    What JSON does not have otherwise becomes text.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    return _NUMBER_AS_TEXT.sub(r"\1", text)


def _plain(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return f"{_NUMBER}{value:f}"
    return str(value)
