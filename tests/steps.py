"""Hand-made outputs of a partition's step."""

from msgspec.structs import replace

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.market_data.bar import Bar
from detectors.market_data.flow import Flow, amounts
from detectors.market_data.windows import Recent, Usual
from service.pipeline.output import Output

SPANS = (Flow(), Flow(leveraged=2.0, leverage_excess_weighted=2.0), Flow(leveraged=4.0))
NOTHING = Recent(((0.0, 0.0),) * 3, (0.0, 0.0), (0.0, 0.0), ((0.0, 0.0),) * 2, (0.0, 0.0), Usual())


def bar(symbol: str, second: int, stress: float | None = 0.1, orders: float = 1.0) -> Output:
    ends_at = second * 1_000_000_000
    closed = Bar(
        symbol=symbol,
        starts_at=ends_at - 1_000_000_000,
        ends_at=ends_at,
        flow=Flow(orders=orders),
        span_sums=[list(amounts(flow)) for flow in SPANS],
        opened=None,
        closed=None,
        usual_depth=0.0,
        typical_spread=0.0,
        smooth_log_depth=(0.0, 0.0, 0.0),
        recent=NOTHING,
        layered=0.0,
        spoofed=0.0,
    )
    return Output(bars=[(closed, Signal(symbol, ends_at, stress, {}))])


def alert(number: int, *, status: str = "firing", at: int = 0, **changes: object) -> Alert:
    """An alert of the incident with this number; a thin-book warning by default."""
    default = Alert(
        alert_id=str(number),
        symbol="S",
        detector="thin_book",
        severity="warning",
        status=status,
        starts_at=number,
        ends_at=at if status == "resolved" else None,
        ts_event=at or number,
        score=9.0,
        p_value=1e-9,
        evidence=[],
        summary="S: thin",
        runbook="docs/runbook.md#thin_book",
    )
    return replace(default, **changes)
