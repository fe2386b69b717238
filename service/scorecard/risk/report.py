"""The tables on the risk of positions."""

from collections.abc import Sequence

from service.scorecard import cells
from service.scorecard.risk.calm import ALL
from service.scorecard.risk.card import (
    CalmTime,
    Compared,
    Explained,
    Predicted,
    RiskCard,
    Test,
    Warned,
)
from service.scorecard.risk.forecast import WHOLE
from service.scorecard.tables import Table

MOST_EXPLAINED = 20
"""So many incidents are told; the JSON has all."""


def tables(card: RiskCard) -> list[Table]:
    """The tables, the most important first; those without rows are left out."""
    made = [
        _warned(card.warned),
        _with_and_without(card.warned),
        _calm(card.calm),
        _explained(card.explained),
        _safe(card),
        _spreading(card),
        _unspread(card),
        _predicted(card.predicted),
        _calibration(card.predicted),
        _compared(card.compared),
    ]
    return [table for table in made if table.rows]


def _warned(rows: Sequence[Warned]) -> Table:
    return Table(
        "Positions: cascades announced",
        (
            "The share of cascades with an incident of `cascade` that is open at the onset, the"
            " first liquidation, and the time from its opening to the onset. A follower's cascade"
            " came after another symbol's."
        ),
        ["scenario", "symbol", "cascades", "fall, median", "announced", "critical", "lead, median",
         "10 %"],
        [
            [
                *_cascades(row),
                _ratio(row.fall_median),
                cells.percent(row.cascade),
                cells.percent(row.critical),
                cells.seconds(row.lead_median_seconds),
                cells.seconds(row.lead_p10_seconds),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _with_and_without(rows: Sequence[Warned]) -> Table:
    return Table(
        "Positions: with and without `cascade`",
        (
            "The same for all detectors of order flow together, and for either. 'Opened' counts an"
            " incident of order flow since the intervention, also if it has resolved before the"
            " onset; its lead is from the first."
        ),
        ["scenario", "symbol", "cascades", "order flow, open", "lead, median", "opened",
         "lead, median", "either, open"],
        [
            [
                *_cascades(row),
                cells.percent(row.flow),
                cells.seconds(row.flow_lead_median_seconds),
                cells.percent(row.flow_opened),
                cells.seconds(row.flow_opened_lead_median_seconds),
                cells.percent(row.either),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _cascades(row: Warned) -> list[str]:
    scenario = _form(row.scenario, row.strength)
    return [scenario, row.symbol, f"{row.cascades} in {row.markets}"]


def _calm(rows: Sequence[CalmTime]) -> Table:
    return Table(
        "Positions: calm time in alarm",
        (
            "The share of the time, after the warm-up, in which an incident is open although"
            " nothing was provoked yet: of all symbols for `cascade` and order flow, of the venue"
            " for `contagion`. A whale is an account of at least 15 % of the open interest within"
            " 1 %."
        ),
        ["market", "symbol-hours", "`cascade`", "incidents", "with a whale", "`contagion`",
         "incidents", "order flow"],
        [
            [
                row.market,
                f"{row.symbol_hours:.1f}",
                f"{row.cascade_ratio:.2%}",
                str(row.cascade_incidents),
                str(row.whales),
                f"{row.contagion_ratio:.2%}",
                str(row.contagion_incidents),
                f"{row.flow_ratio:.2%}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def _explained(rows: Sequence[Explained]) -> Table:
    told = sorted(rows, key=lambda row: -row.seconds)[:MOST_EXPLAINED]
    return Table(
        "Positions: what the incidents on calm time state",
        f"The {len(told)} longest of {len(rows)}, with what each said when it opened.",
        ["market", "seed", "detector", "symbol", "calm time in alarm", "whale", "statement"],
        [
            [
                row.market,
                str(row.seed),
                row.detector,
                row.symbol,
                cells.seconds(row.seconds),
                "none" if row.whale_ratio is None else f"{row.whale_ratio:.0%}",
                row.summary,
            ]
            for row in told
        ],
    )


def _safe(card: RiskCard) -> Table:
    return Table(
        "Positions: scenarios that must stay quiet",
        "Markets with an incident at any time after the warm-up, and liquidated accounts.",
        ["scenario", "rule", "markets", "`cascade`", "critical", "`contagion`", "liquidated"],
        [
            [
                row.scenario,
                row.rule,
                str(row.markets),
                str(row.cascade),
                str(row.critical),
                str(row.contagion),
                str(row.liquidated),
            ]
            for row in card.safe
        ],
    )


def _spreading(card: RiskCard) -> Table:
    return Table(
        "Positions: spread to a second symbol",
        (
            "Cascades after one of another symbol. An incident of `contagion` announces it if it is"
            " open at some moment from the first onset to the second. Its last alert before the"
            " second onset names the two symbols, and says that the first spreads to the second,"
            " not only the other way. The last column is how many of the other symbols it names as"
            " well, on average."
        ),
        ["scenario", "spreads", "announced", "before the first onset", "names both",
         "first to second", "lead, median", "others named"],
        [
            [
                row.scenario,
                str(row.spreads),
                cells.percent(row.announced),
                cells.percent(row.before),
                cells.percent(row.named),
                cells.percent(row.named_way),
                cells.seconds(row.lead_median_seconds),
                cells.UNDEFINED if row.others is None else f"{row.others:.1f}",
            ]
            for row in card.spreading
        ],
    )  # fmt: skip


def _unspread(card: RiskCard) -> Table:
    return Table(
        "Positions: `contagion` where nothing spread",
        (
            "Markets in which no cascade spread, and in how many `contagion` was open at the first"
            " onset; at any time after the intervention, if there was no cascade."
        ),
        ["scenario", "markets", "`contagion`"],
        [[row.scenario, str(row.markets), str(row.contagion)] for row in card.unspread],
    )


def _predicted(rows: Sequence[Predicted]) -> Table:
    return Table(
        "Positions: predicted and realised",
        (
            "The run over the largest share of open interest that any shock sets off, in the last"
            " record before the onset; and the distance for 2 and 40 %, in the last record a minute"
            " before, against the move of the mark price from then to the onset. The error is the"
            " median absolute logarithm of realised over predicted, the bias the median without"
            " absolute: below 0, less happened than was predicted."
        ),
        [
            "cascades",
            "number",
            "positions are closed by",
            "n",
            "error",
            "bias",
            "10 to 90 % covers",
        ],
        [
            [
                row.group,
                row.what,
                row.rule,
                f"{row.cascades} in {row.markets}",
                _number(row.error_median),
                _number(row.bias_median),
                cells.percent(row.coverage),
            ]
            for row in rows
            if row.group == ALL or row.rule == WHOLE
        ],
    )


def _calibration(rows: Sequence[Predicted]) -> Table:
    return Table(
        "Positions: calibration of the quantiles",
        (
            "How many of all cascades realised less than the 10 % quantile, from there to the"
            " median, from there to the 90 % quantile, and more; it should be 10, 40, 40 and 10 %."
            " Then the share below each quantile with the p-value of Kupiec's test, corrected for"
            " cascades of the same market: a small one says that the quantile is wrong."
        ),
        ["number", "positions are closed by", "n", "bins", "below 10 %", "below 50 %",
         "below 90 %"],
        [
            [
                row.what,
                row.rule,
                f"{row.cascades} in {row.markets}",
                ", ".join(map(str, row.pit)),
                *map(_test, row.tests),
            ]
            for row in rows
            if row.group == ALL
        ],
    )  # fmt: skip


def _compared(rows: Sequence[Compared]) -> Table:
    return Table(
        "Positions: the run, its parts and baselines",
        (
            "Each number alone as an alarm, with the threshold that has the stated share of calm"
            " time in alarm: the share that `cascade` itself has, and 2 %. The shares of cascades"
            " that have the alarm 120 s before the onset, 60 s before, and at the onset; and the"
            " share of time in alarm in the scenarios that must not alarm."
        ),
        ["calm time", "number", "120 s before", "60 s before", "at the onset", "must not alarm"],
        [
            [
                f"{row.calm_ratio:.2%}",
                row.name,
                cells.percent(row.at_120s),
                cells.percent(row.at_60s),
                cells.percent(row.at_onset),
                cells.UNDEFINED if row.safe_ratio is None else f"{row.safe_ratio:.1%}",
            ]
            for row in rows
        ],
    )


def _form(scenario: str, strength: float) -> str:
    return scenario if strength in (0.0, 1.0) else f"{scenario} x{strength:g}"


def _ratio(value: float | None) -> str:
    return cells.UNDEFINED if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return cells.UNDEFINED if value is None else f"{value:.2f}"


def _test(test: Test) -> str:
    if test.p_value is None:
        return cells.UNDEFINED
    p = f"p {test.p_value:.3f}" if test.p_value >= 5e-4 else "p < 0.001"
    return f"{test.below / test.cases:.0%} ({p})"
