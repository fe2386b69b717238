"""A scenario and its result in words and figures, for the table and the page."""

import math
from collections.abc import Iterator, Mapping

from detectors.risk_watch.records import Interval
from detectors.risk_watch.what_if import ScenarioOutcome, SideOutcome, WhatIfAnswer
from service.describe import moment
from service.presentation.assumptions import describe_assumption

LEAST_COVERAGE_RATIO = 0.9

_ZERO = Interval(0.0, 0.0, 0.0)
_NOTHING = SideOutcome("", "long", _ZERO, [], _ZERO, _ZERO)


def money(value: float | None) -> str:
    """Format an amount of the quote currency with three digits.

    >>> money(0.0), money(950.4), money(5_343_334.6), money(-41e9), money(None)
    ('0', '950', '5.34 M', '-41 G', 'unbounded')
    """
    if value is None:
        return "unbounded"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def spread(its: Interval, *, whole: bool = False) -> str:
    """Format a quantity with its 10 to 90 % interval; one that is certain without.

    >>> spread(Interval(1e6, 2e6, 3e6)), spread(Interval(4.0, 4.0, 4.0), whole=True)
    ('2 M (1 M to 3 M)', '4')
    """
    shown = [_whole(value) if whole else money(value) for value in (its.p10, its.p50, its.p90)]
    return shown[1] if shown[0] == shown[2] else f"{shown[1]} ({shown[0]} to {shown[2]})"


def _whole(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:,.0f}"


def generations(amounts: list[float], most: int = 6) -> str:
    """Format what is closed in each generation, the later ones together.

    >>> generations([1e6, 2e5]), generations([1.0] * 8)
    ('1 M + 200 k', '1 + 1 + 1 + 1 + 1 + 3 in 3 more')
    """
    if not amounts:
        return "none"
    if len(amounts) <= most:
        return " + ".join(money(amount) for amount in amounts)
    shown, rest = amounts[: most - 1], amounts[most - 1 :]
    told = " + ".join(money(amount) for amount in shown)
    return f"{told} + {money(sum(rest))} in {len(rest)} more"


def described(answer: WhatIfAnswer) -> str:
    """Return the scenario in a sentence."""
    parts = [_each(answer.shocks, "{symbol} moves by {value:+.4g} %", 100.0)]
    if answer.halted:
        parts.append(f"{', '.join(answer.halted)} halted")
    parts.append(_each(answer.maintenance, "maintenance of {symbol} x{value:.4g}"))
    parts.append(_each(answer.depth, "depth of {symbol} x{value:.4g}"))
    if answer.step_ratio is not None:
        parts.append(f"liquidation in steps of {100 * answer.step_ratio:.4g} %")
    if answer.mark_window_seconds is not None:
        parts.append(f"mark window of {answer.mark_window_seconds:.4g} s")
    told = "; ".join(part for part in parts if part)
    return f"{moment(answer.ts_event, day=True)} UTC: {told or 'nothing changes'}"


def _each(values: Mapping[str, float], phrase: str, factor: float = 1.0) -> str:
    told = {"*": "every other symbol" if len(values) > 1 else "every symbol"}
    return ", ".join(
        phrase.format(symbol=told.get(symbol, symbol), value=factor * value)
        for symbol, value in sorted(values.items(), key=lambda item: (item[0] == "*", item[0]))
    )


def columns(answer: WhatIfAnswer) -> tuple[list[str], str]:
    """Return the heads of the columns, and an x for each that has numbers."""
    heads = ["symbol", "side", "closed", "generations", "accounts", "loss", "mark price", "end"]
    if answer.before is not answer.after:
        heads[2:2] = ["closed before"]
        heads[6:6] = ["loss before"]
    return heads, "  ".ljust(len(heads), "x")


def rows(answer: WhatIfAnswer) -> Iterator[list[str]]:
    """Yield a row for each side of which something is closed, most money first; then the sum."""
    before = {(its.symbol, its.side): its for its in answer.before.sides}
    after = {(its.symbol, its.side): its for its in answer.after.sides}

    def most(key: tuple[str, str]) -> float:
        found = (its[key].forced.p90 for its in (before, after) if key in its)
        return max(math.inf if amount is None else amount for amount in found)

    for key in sorted({*before, *after}, key=lambda key: (-most(key), key)):
        symbol = key[0]
        yield _row(
            answer,
            key,
            before.get(key, _NOTHING),
            after.get(key, _NOTHING),
            [f"{answer.marks[symbol]:.7g}", _price(answer.after.prices[symbol])],
        )
    yield _row(answer, ("all", ""), answer.before, answer.after, ["", ""])


def _row(
    answer: WhatIfAnswer,
    names: tuple[str, str],
    before: SideOutcome | ScenarioOutcome,
    after: SideOutcome | ScenarioOutcome,
    prices: list[str],
) -> list[str]:
    row = [
        *names, spread(after.forced), generations(after.generations),
        spread(after.accounts, whole=True), spread(after.loss), *prices,
    ]  # fmt: skip
    if answer.before is not answer.after:
        row[2:2] = [spread(before.forced)]
        row[6:6] = [spread(before.loss)]
    return row


def text(answer: WhatIfAnswer) -> str:
    """Return the result as text for a terminal."""
    heads, numbers = columns(answer)
    table = [heads, *rows(answer)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if flag == "x" else cell.ljust(width)
            for cell, width, flag in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join(
        [described(answer), "", *lines, "", *(f"note: {note}" for note in notes(answer))]
    )


def _radius(its: Interval) -> str:
    low, middle, high = (f"{value or 0:.2g}" for value in (its.p10, its.p50, its.p90))
    return (
        f"each unit that is liquidated forces {middle} more over moves of 0.85 % ({low} to {high})"
    )


def _price(its: Interval) -> str:
    low, middle, high = (f"{value:.7g}" for value in (its.p10 or 0, its.p50 or 0, its.p90 or 0))
    return middle if low == high else f"{middle} ({low} to {high})"


def notes(answer: WhatIfAnswer) -> Iterator[str]:
    """Yield what a reader has to know beside the rows."""
    both = answer.before is not answer.after
    if both:
        yield from _of_outcome("before: ", answer.before, answer.insurance_fund)
    yield from _of_outcome("after: " if both else "", answer.after, answer.insurance_fund)
    for symbol, ratio in answer.coverage_ratio.items():
        if ratio is None:
            yield f"{symbol}: the open interest is not known, so neither is the share of it known"
        elif ratio < LEAST_COVERAGE_RATIO:
            yield (
                f"{symbol}: the known positions are {ratio:.0%} of the open interest; what is "
                "closed is at least the figure shown"
            )
    for assumption in answer.assumptions:
        yield f"assumed: {describe_assumption(assumption)}"


def _of_outcome(name: str, its: ScenarioOutcome, fund: float | None) -> Iterator[str]:
    if its.below_at_once:
        yield f"{name}accounts below maintenance before any price moves: {its.below_at_once:,}"
    if its.beyond_fund is not None:
        yield (
            f"{name}beyond collateral and the insurance fund of {money(fund)}: "
            f"{spread(its.beyond_fund)}"
        )
    if its.radius is not None:
        yield f"{name}{_radius(its.radius)}"
    if not its.settled:
        yield f"{name}the run goes on after the generations that are computed"
