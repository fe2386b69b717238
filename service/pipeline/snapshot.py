"""The snapshot of one symbol, and the monitor that continues from it."""

from msgspec import Struct

from detectors.closing import Columns
from detectors.counts import Counts
from detectors.detector import Detector
from detectors.kill_switch.switch import SwitchState
from detectors.parameters import Parameters
from detectors.state import SymbolState, revive
from detectors.symbol import SymbolMonitor
from service.pipeline.align import Position


class Snapshot(Struct, frozen=True):
    """The state of a symbol, and how far the partition was processed at that moment.

    ``switch`` is the state of its kill switch; None without one.
    """

    symbol: str
    position: Position
    state: SymbolState
    switch: SwitchState | None = None


def monitor_of(
    snapshot: Snapshot,
    parameters: Parameters,
    detectors: tuple[Detector, ...],
    counts: Counts,
    columns: Columns,
) -> SymbolMonitor:
    """Return a monitor that continues from a snapshot, owns its content, and has a row of columns.

    Inconsistent content raises ValueError or any other exception.
    """
    state, watermark_ns = snapshot.state, snapshot.position.watermark_ns
    bar_ns = parameters.bar_ns
    if state.open_bar is not None and (
        state.open_bar % bar_ns or not 0 < state.open_bar - watermark_ns <= bar_ns
    ):
        raise ValueError(
            f"the open bar ends at {state.open_bar}, which is not the end of the bar of the "
            f"watermark, {watermark_ns}"
        )
    return revive(snapshot.symbol, state, parameters, detectors, counts, columns)
