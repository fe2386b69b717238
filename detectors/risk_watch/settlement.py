"""What the currency in which a contract settles changes: its accounts, and its notional."""

from msgspec.structs import replace

from detectors.market_data.book_summary import BookSummary

_SEPARATOR = "\x1f"


def account_key(account: str, currency: str | None) -> str:
    """Return the name of what an account holds in one settlement currency.

    Money of several currencies backs no position together.

    >>> account_key("a", None), owner_of(account_key("a", "BTC"))
    ('a', 'a')
    """
    return account if currency is None else f"{account}{_SEPARATOR}{currency}"


def owner_of(key: str) -> str:
    """Return the account of an `account_key`."""
    return key.partition(_SEPARATOR)[0]


def of_face_values(summary: BookSummary) -> BookSummary:
    """Return the summary of an inverse contract as notional in the quote currency.

    A summary is quantity times price, and the quantity of an inverse contract already is notional.
    Its prices of one bar are taken as its mid price.

    >>> depth = (1e4, 1e4, 2e4, 4e4)
    >>> its = of_face_values(BookSummary(100.0, 1.0, depth, depth, sold=500.0))
    >>> its.sold, its.bid_depth
    (5.0, (100.0, 100.0, 200.0, 400.0))
    """
    a, b, c, d = (depth / summary.mid for depth in summary.bid_depth)
    e, f, g, h = (depth / summary.mid for depth in summary.ask_depth)
    return replace(
        summary,
        bid_depth=(a, b, c, d),
        ask_depth=(e, f, g, h),
        bought=summary.bought / summary.mid,
        sold=summary.sold / summary.mid,
        forced_bought=summary.forced_bought / summary.mid,
        forced_sold=summary.forced_sold / summary.mid,
        shortfall=summary.shortfall / summary.mid,
    )
