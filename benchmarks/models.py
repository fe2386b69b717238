"""Comparison of models and statistics on tuning markets.

``make models`` runs this file. Markets are simulated once and kept in build/models. Every model
then scores every bar as the service would: score first, learn afterwards. A detector's threshold is
set on the calm markets, separately for each model and each set of statistics, so that all have the
same number of false alarms there. Results go to stdout and to build/models/models.md.
"""

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from model_judgement import Alarms, Result, Tape, alarms, judge, tapes
from model_markets import markets, tiny_trials, tuning_trials
from model_rivals import MODELS, PARTS, Scores, key, scored
from options import add_output

from service.scorecard.matrix import MUST_ALARM, MUST_NOT_ALARM, REGIMES

BUDGET = 0.15
"""Default budget of a detector, in false alarms per symbol-day: seven detectors share one."""

OWN = {
    "cancel_burst": ("cancel_burst", "pulled_book", "draining_book", "market_wide"),
    "leverage_jump": (
        "leverage_buildup",
        "leverage_jump",
        "leverage_creep",
        "leverage_rush",
        "cascade",
    ),
    "thin_book": (
        "cancel_burst",
        "spread_blowout",
        "draining_book",
        "pulled_book",
        "thin_clustering",
        "flash_crash",
        "market_wide",
    ),
    "fading_book": ("draining_book",),
    "quote_stuffing": ("quote_stuffing",),
    "layering": ("layering",),
    "spoofing": ("spoofing",),
}
"""The scenarios that each detector is designed for."""

TINY_SECONDS = 2_400.0
"""With --tiny, no market lasts longer; nothing is judged in its first half hour."""

Row = list[str]

MODELS_HEAD = [
    "detector",
    "model",
    "recall, own kinds",
    "recall, all kinds",
    "median delay, s",
    "false alarms",
    "microseconds per bar",
]
ABLATION_HEAD = [
    "detector",
    "left out",
    "recall, own kinds",
    "change",
    "recall, all kinds",
    "false alarms",
    "change",
]


def models_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """The results of every model in every detector, and in all detectors together."""
    rows = []
    bars = sum(len(tape.times) for tape in all_tapes)
    together: dict[str, list[list[Alarms]]] = defaultdict(list)
    micros_by_model: Counter[str] = Counter()
    for detector, own_kinds in OWN.items():
        for model in MODELS:
            at = key(detector, model)
            raised = alarms(all_tapes, [tape.arrays[at] for tape in all_tapes], allowed)
            micros = sum(float(t.arrays[f"{at} seconds"]) for t in all_tapes) / bars * 1e6
            rows.append(_model_row(detector, model, own_kinds, judge(all_tapes, raised), micros))
            together[model].append(raised)
            micros_by_model[model] += micros
    for model, of_each in together.items():
        result = judge(all_tapes, _together(of_each))
        rows.append(_model_row("all", model, MUST_ALARM, result, micros_by_model[model]))
    return rows


def _model_row(
    detector: str, model: str, own_kinds: Sequence[str], result: Result, micros: float
) -> Row:
    delay = result.delay(own_kinds)
    return [
        detector,
        model,
        _share(*result.recall(own_kinds)),
        _share(*result.recall(MUST_ALARM)),
        "" if delay is None else f"{delay:.0f}",
        _false(result),
        f"{micros:.0f}",
    ]


def ablation_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """The results of the service's model without one of a detector's several statistics."""
    rows = []
    for detector, own_kinds in OWN.items():
        features = all_tapes[0].features[detector]
        if len(features) < 2:
            continue
        at = key(detector, PARTS)
        complete = _without(all_tapes, at, None, allowed)
        rows.append(_ablation_row(detector, "nothing", own_kinds, complete, complete))
        for position, feature in enumerate(features):
            reduced = _without(all_tapes, at, position, allowed)
            rows.append(_ablation_row(detector, f"`{feature}`", own_kinds, reduced, complete))
    return rows


def detectors_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """The results of all detectors together without one of them."""
    model = next(iter(MODELS))
    raised = {
        detector: alarms(
            all_tapes, [tape.arrays[key(detector, model)] for tape in all_tapes], allowed
        )
        for detector in OWN
    }
    complete = judge(all_tapes, _together(raised.values()))
    rows = [_ablation_row("all", "nothing", MUST_ALARM, complete, complete)]
    for left_out in OWN:
        kept = _together(
            alarms_by_tape for detector, alarms_by_tape in raised.items() if detector != left_out
        )
        row = _ablation_row("all", f"`{left_out}`", MUST_ALARM, judge(all_tapes, kept), complete)
        rows.append(row)
    return rows


def _together(raised: Iterable[list[Alarms]]) -> list[Alarms]:
    """The bars in which any detector has an alarm."""
    return [np.logical_or.reduce(tape_alarms) for tape_alarms in zip(*raised, strict=True)]


def _without(all_tapes: Sequence[Tape], at: str, position: int | None, allowed: int) -> Result:
    scores: list[Scores] = []
    for tape in all_tapes:
        parts = tape.arrays[at]
        kept = parts if position is None else np.delete(parts, position, axis=1)
        scores.append(kept.max(axis=1))
    return judge(all_tapes, alarms(all_tapes, scores, allowed))


def _ablation_row(
    detector: str, left_out: str, own_kinds: Sequence[str], result: Result, complete: Result
) -> Row:
    found, sought = result.recall(own_kinds)
    false = result.false.total()
    return [
        detector,
        left_out,
        _share(found, sought),
        _change(found - complete.recall(own_kinds)[0], sought) if result is not complete else "",
        _share(*result.recall(MUST_ALARM)),
        _false(result),
        "" if result is complete else f"{false - complete.false.total():+d}",
    ]


def _share(found: int, sought: int) -> str:
    return f"{found / sought:.2f} ({found} of {sought})" if sought else ""


def _change(found: int, sought: int) -> str:
    return f"{found / sought:+.2f}" if sought else ""


def _false(result: Result) -> str:
    """The number of false alarms, and the kinds of market in which they occurred."""
    kinds = ", ".join(f"{kind} {n}" for kind, n in result.false.most_common() if n)
    return f"{result.false.total()} ({kinds})" if kinds else "0"


def _table(head: Row, rows: Sequence[Row], numbers: int) -> str:
    """A Markdown table with numbers in the last columns."""
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def page(all_tapes: Sequence[Tape], seeds: int, calm_days: int, budget: float) -> str:
    """Both tables, with the parameters of the run."""
    allowed = max(1, round(budget * calm_days))
    counted = sum(int(tape.counted.sum()) for tape in all_tapes if tape.scenario == "calm")
    return f"""\
`make models MODELS_ARGS='--seeds {seeds} --calm-days {calm_days} --budget {budget:g}'`

* Calm symbol-days: {calm_days}, of which {counted / 86_400:.2f} are judged.
* Markets of each other kind at each activity: {seeds}.
* Must alarm: {", ".join(MUST_ALARM)}.
* Must not alarm: {", ".join((*MUST_NOT_ALARM, *REGIMES))}.
* Thresholds: the smallest score above which the calm markets have at most {allowed} incidents.

## Models

{_table(MODELS_HEAD, models_table(all_tapes, allowed), 5)}

## Ablation

{_table(ABLATION_HEAD, detectors_table(all_tapes, allowed), 5)}

{_table(ABLATION_HEAD, ablation_table(all_tapes, allowed), 5)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--seeds", type=int, default=2, help="markets of each scenario and activity (default 2)"
    )
    parser.add_argument("--calm-days", type=int, default=4, help="calm symbol-days (default 4)")
    parser.add_argument(
        "--budget",
        type=float,
        default=BUDGET,
        help=f"a detector's false alarms per calm symbol-day (default {BUDGET}); at least 1 in all",
    )
    add_output(parser)
    chosen = parser.parse_args()
    if chosen.seeds < 1 or chosen.calm_days < 1:
        parser.error("--seeds and --calm-days must be at least 1")
    all_tapes = []
    folder = chosen.out / "models"
    trials = tiny_trials() if chosen.tiny else tuning_trials(chosen.seeds, chosen.calm_days)
    most_seconds = TINY_SECONDS if chosen.tiny else math.inf
    for number, (path, market) in enumerate(markets(trials, folder, most_seconds), start=1):
        print(f"{number} of {len(trials)}: {path.stem}", file=sys.stderr)
        all_tapes += tapes(market, scored(path, market))
    text = page(all_tapes, chosen.seeds, chosen.calm_days, chosen.budget)
    (folder / "models.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
