"""The figures on the audit as tables."""

from collections.abc import Iterable

from service.scorecard import cells
from service.scorecard.audit.card import AuditCard, Clean, Killed
from service.scorecard.audit.related import RELATED
from service.scorecard.tables import Table


def tables(card: AuditCard) -> list[Table]:
    """The tables of a card."""
    return [
        _clean_runs(card),
        _matrix(card),
        _why(card.killed),
        _sizes(card),
    ]


def _clean_runs(card: AuditCard) -> Table:
    return Table(
        "Audit: the clean venue",
        (
            f"Runs of {card.minutes:g} minutes, each with its own seed, of a venue that keeps its"
            f" rules. A check fails in {cells.percent(card.clean_failed)} of {card.clean_runs}."
            f" Checks that judge nothing in any run: {', '.join(card.never_run) or 'none'}."
        ),
        ["market", "what happens", "runs", "liquidations", "checks that judge", "runs with a fail",
         "which"],
        [_clean_row(row) for row in card.clean],
    )  # fmt: skip


def _clean_row(row: Clean) -> list[str]:
    return [
        row.market,
        row.does,
        f"{row.runs}",
        f"{row.liquidations:,}",
        f"{row.ran}",
        cells.percent(row.failed),
        _counts(row.checks, row.runs) or "none",
    ]


def _matrix(card: AuditCard) -> Table:
    return Table(
        "Audit: kill matrix",
        (
            "The venue breaks one rule. The share of seeds in which the check of that rule fails,"
            " and the other checks that fail, with their share where it is not all. Cases and"
            " breaches are medians."
        ),
        ["breach", "what the venue does", "size", "market", "its check", "seeds", "killed",
         "cases", "breaches", "also fail", "unrelated"],
        [
            [
                row.breach, row.does, _size(row), row.market, row.check, f"{row.runs}",
                cells.percent(row.killed), f"{row.cases:,.0f}", f"{row.breaches:,.0f}",
                _counts(row.others, row.runs) or "none", ", ".join(row.unrelated) or "none",
            ]
            for row in card.killed
        ],
    )  # fmt: skip


def _why(rows: Iterable[Killed]) -> Table:
    return Table(
        "Audit: why other checks fail too",
        "One broken rule breaks what follows from it.",
        ["breach", "check", "reason"],
        [
            [row.breach, name, RELATED[row.breach][name]]
            for row in rows
            for name in row.others
            if name in RELATED.get(row.breach, {})
        ],
    )


def _sizes(card: AuditCard) -> Table:
    return Table(
        "Audit: how small a breach is found",
        "The same breaches in other sizes, in the unit of the table above.",
        ["breach", "size", "its check", "seeds", "found", "cases", "breaches"],
        [
            [
                row.breach, _size(row), row.check, f"{row.runs}", cells.percent(row.killed),
                f"{row.cases:,.0f}", f"{row.breaches:,.0f}",
            ]
            for row in card.sizes
        ],
    )  # fmt: skip


def _size(row: Killed) -> str:
    return f"{row.amount:g}" if row.amount else ""


def _counts(counts: dict[str, int], runs: int) -> str:
    return ", ".join(
        name if count == runs else f"{name} ({count / runs:.0%})" for name, count in counts.items()
    )
