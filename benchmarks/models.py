"""Which model finds most, and which features earn their place: on tuning markets, never others.

``make models`` runs this file. Markets are simulated once and kept in build/models; every model
then scores every bar as the service would, score first and learn afterwards. A detector's
threshold is set on the calm markets as they are, anew for each model and each set of features, so
that all raise as many false alarms there. What it finds goes to stdout and to
build/models/models.md.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from model_judgement import Alarms, Result, Tape, alarms, judge, tapes
from model_markets import BUILD, markets, tuning_trials
from model_rivals import MODELS, PARTS, Scores, key, scored

from service.scorecard.matrix import MUST_ALARM, MUST_NOT_ALARM, REGIMES

BUDGET = 0.2
"""A detector's false alarms a symbol-day, if nothing else is asked for: five of them share one."""

OWN = {
    "cancel_burst": ("cancel_burst", "quote_stuffing", "layering"),
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
    "spoofing": ("spoofing",),
}
"""What each detector is for."""

Row = list[str]

MODELS_HEAD = [
    "detector",
    "model",
    "finds of its own kinds",
    "of all kinds",
    "median delay, s",
    "alarms where none should be",
    "microseconds a bar",
]
ABLATION_HEAD = [
    "detector",
    "left out",
    "finds of its own kinds",
    "change",
    "of all kinds",
    "alarms where none should be",
    "change",
]


def models_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """How every model does in every detector, and in all of them together."""
    rows = []
    bars = sum(len(tape.times) for tape in all_tapes)
    together: dict[str, list[list[Alarms]]] = defaultdict(list)
    spent: Counter[str] = Counter()
    for detector, own in OWN.items():
        for model in MODELS:
            at = key(detector, model)
            raised = alarms(all_tapes, [tape.arrays[at] for tape in all_tapes], allowed)
            micros = sum(float(t.arrays[f"{at} seconds"]) for t in all_tapes) / bars * 1e6
            rows.append(_model_row(detector, model, own, judge(all_tapes, raised), micros))
            together[model].append(raised)
            spent[model] += micros
    for model, of_each in together.items():
        result = judge(all_tapes, _together(of_each))
        rows.append(_model_row("all", model, MUST_ALARM, result, spent[model]))
    return rows


def _model_row(detector: str, model: str, own: Sequence[str], result: Result, micros: float) -> Row:
    delay = result.delay(own)
    return [
        detector,
        model,
        _share(*result.recall(own)),
        _share(*result.recall(MUST_ALARM)),
        "" if delay is None else f"{delay:.0f}",
        _false(result),
        f"{micros:.0f}",
    ]


def ablation_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """What becomes of the code's model where it lacks one of a detector's features."""
    rows = []
    for detector, own in OWN.items():
        features = next(tape.features[detector] for tape in all_tapes if tape.features[detector])
        at = key(detector, PARTS)
        whole = _without(all_tapes, at, None, allowed)
        rows.append(_ablation_row(detector, "nothing", own, whole, whole))
        for place, feature in enumerate(features):
            left = _without(all_tapes, at, place, allowed)
            rows.append(_ablation_row(detector, f"`{feature}`", own, left, whole))
    return rows


def detectors_table(all_tapes: Sequence[Tape], allowed: int) -> list[Row]:
    """What becomes of all detectors together where one of them is missing."""
    model = next(iter(MODELS))
    raised = {
        detector: alarms(
            all_tapes, [tape.arrays[key(detector, model)] for tape in all_tapes], allowed
        )
        for detector in OWN
    }
    whole = judge(all_tapes, _together(raised.values()))
    rows = [_ablation_row("all", "nothing", MUST_ALARM, whole, whole)]
    for left_out in OWN:
        kept = _together(its for detector, its in raised.items() if detector != left_out)
        row = _ablation_row("all", f"`{left_out}`", MUST_ALARM, judge(all_tapes, kept), whole)
        rows.append(row)
    return rows


def _together(raised: Iterable[list[Alarms]]) -> list[Alarms]:
    """The bars in which any detector alarms."""
    return [np.logical_or.reduce(its) for its in zip(*raised, strict=True)]


def _without(all_tapes: Sequence[Tape], at: str, place: int | None, allowed: int) -> Result:
    scores: list[Scores] = []
    for tape in all_tapes:
        parts = tape.arrays[at]
        kept = parts if place is None else np.delete(parts, place, axis=1)
        scores.append(np.sqrt(kept.sum(axis=1)))
    return judge(all_tapes, alarms(all_tapes, scores, allowed))


def _ablation_row(
    detector: str, left_out: str, own: Sequence[str], result: Result, whole: Result
) -> Row:
    found, sought = result.recall(own)
    false = result.false.total()
    return [
        detector,
        left_out,
        _share(found, sought),
        "" if result is whole else f"{(found - whole.recall(own)[0]) / sought:+.2f}",
        _share(*result.recall(MUST_ALARM)),
        _false(result),
        "" if result is whole else f"{false - whole.false.total():+d}",
    ]


def _share(found: int, sought: int) -> str:
    return f"{found / sought:.2f} ({found} of {sought})" if sought else ""


def _false(result: Result) -> str:
    """How many, and the kinds of market they were raised in."""
    kinds = ", ".join(f"{kind} {n}" for kind, n in result.false.most_common() if n)
    return f"{result.false.total()} ({kinds})" if kinds else "0"


def _table(head: Row, rows: Sequence[Row], numbers: int) -> str:
    """A table in Markdown, whose last columns are numbers."""
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def page(all_tapes: Sequence[Tape], seeds: int, calm_days: int, budget: float) -> str:
    """Both tables, and what they were made of."""
    allowed = max(1, round(budget * calm_days))
    counted = sum(int(tape.counted.sum()) for tape in all_tapes if tape.scenario == "calm")
    return f"""\
`make models MODELS_ARGS='--seeds {seeds} --calm-days {calm_days} --budget {budget:g}'`

* Calm symbol-days: {calm_days}, of which {counted / 86_400:.2f} are judged.
* Markets of each other kind at each activity: {seeds}.
* Must alarm: {", ".join(MUST_ALARM)}.
* Must not alarm: {", ".join((*MUST_NOT_ALARM, *REGIMES))}.
* Thresholds: the least score above which the calm markets have no more than this many incidents:
  {allowed}.

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
        help=f"a detector's false alarms a calm symbol-day (default {BUDGET}); at least one in all",
    )
    chosen = parser.parse_args()
    if chosen.seeds < 1 or chosen.calm_days < 1:
        parser.error("--seeds and --calm-days must be at least 1")
    all_tapes = []
    trials = tuning_trials(chosen.seeds, chosen.calm_days)
    for number, (path, market) in enumerate(markets(trials), start=1):
        print(f"{number} of {len(trials)}: {path.stem}", file=sys.stderr)
        all_tapes += tapes(market, scored(path, market))
    text = page(all_tapes, chosen.seeds, chosen.calm_days, chosen.budget)
    (BUILD / "models.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
