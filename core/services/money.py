"""Nano-dollars to exact decimal text; how money looks on screen is the dashboard's business."""

from decimal import Decimal

NANOUSD_PER_USD = 1_000_000_000


def usd(nanousd: int) -> Decimal:
    """The exact amount in US dollars."""
    return Decimal(nanousd) / NANOUSD_PER_USD


def usd_text(nanousd: int) -> str:
    """The exact amount as plain decimal digits, without an exponent and without trailing zeros: `0.00042`."""
    text = f"{usd(nanousd):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
