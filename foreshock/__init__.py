"""Foreshock from Python: the detection of the service, in a notebook or a program.

`replay` runs recorded days or a sequence of events, a `Watcher` takes the events of one symbol as
they come, and `alerts` follows the alerts of a service on Kafka. `rows` turns alerts and signals
into rows for a data frame. The engine is the service's; the same events give the same alerts.
"""

from detectors.closing import Signal
from detectors.incidents.alerts import Alert, Evidence
from detectors.plug_in import PlugIn
from detectors.scorer import Reading
from foreshock.result import Result, rows
from foreshock.subscription import alerts
from foreshock.watch import Watcher, replay
from service import __version__
from service.errors import OperatorError

__all__ = [
    "Alert",
    "Evidence",
    "OperatorError",
    "PlugIn",
    "Reading",
    "Result",
    "Signal",
    "Watcher",
    "__version__",
    "alerts",
    "replay",
    "rows",
]
