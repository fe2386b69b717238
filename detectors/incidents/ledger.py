"""What the incidents of a symbol cost its false-alarm budget, and what operators judged of them.

An alert id stands for an incident, and an incident for the statistics whose alarms were charged to
the budget while it was open, of every detector that joined it. An operator judges the incident as a
whole: if its alarm was right, all of these charges are credited.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from detectors.incidents.symbol_incidents import Incident
from detectors.scorer import Reading, Scorer

MOST_INCIDENTS = 100
"""The number of incidents of a symbol that can be judged: its last ones."""


class Charge(Struct):
    """What the alarms of one statistic cost: ``runs`` of alarms.

    ``credited`` is by how much its bar came down, in decades of evidence, while the incident counts
    as right.
    """

    detector: str
    statistic: str
    runs: int = 0
    credited: float = 0.0


class LedgerEntry(Struct):
    """An incident: the detector that names it, what it cost, and the last verdict.

    ``is_true`` is None until an operator has judged the incident.
    """

    detector: str
    charges: list[Charge]
    is_true: bool | None = None


class Ledger:
    """The charges of a symbol's last incidents, by alert id.

    A verdict is applied once: the entry keeps it, and is part of a snapshot.
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[str, LedgerEntry] = {}

    def note(
        self, incident: Incident | None, readings: Mapping[str, Reading], scorers: Iterable[Scorer]
    ) -> None:
        """Note what the alarms of a bar were charged for the incident that is open after it.

        Suppressed alarms are part of no incident, and stay charged.
        """
        if incident is None:
            return
        for scorer in scorers:
            name = scorer.detector.name
            if not scorer.charged or not readings[name].effective:
                continue
            entry = self._entry(incident)
            for statistic in scorer.charged:
                charge = _charge(entry, name, statistic)
                charge.runs += 1
                if entry.is_true:
                    charge.credited += scorer.credit(statistic)

    def judge(
        self, alert_id: str, scorers: Iterable[Scorer], *, is_true: bool
    ) -> LedgerEntry | None:
        """Apply a verdict; return the incident if the verdict is another than its last one.

        An incident that was not judged counts as a false alarm. So the verdict that it was right
        credits its charges; the verdict that it was wrong takes these credits back, if there are
        any.
        """
        entry = self.entries.get(alert_id)
        if entry is None or entry.is_true is is_true:
            return None
        entry.is_true = is_true
        by_name = {scorer.detector.name: scorer for scorer in scorers}
        for charge in entry.charges:
            scorer = by_name.get(charge.detector)
            if scorer is None:
                continue
            if is_true:
                charge.credited = sum(scorer.credit(charge.statistic) for _ in range(charge.runs))
            else:
                scorer.debit(charge.statistic, charge.credited)
                charge.credited = 0.0
        return entry

    def _entry(self, incident: Incident) -> LedgerEntry:
        alert = incident.alert
        entry = self.entries.get(alert.alert_id)
        if entry is None:
            entry = self.entries[alert.alert_id] = LedgerEntry(alert.detector, [])
            if len(self.entries) > MOST_INCIDENTS:
                del self.entries[next(iter(self.entries))]
        return entry


def _charge(entry: LedgerEntry, detector: str, statistic: str) -> Charge:
    for charge in entry.charges:
        if (charge.detector, charge.statistic) == (detector, statistic):
            return charge
    charge = Charge(detector, statistic)
    entry.charges.append(charge)
    return charge
