"""The figures on the risk of positions."""

from msgspec import Struct

from service.scorecard.statistics import Interval


class Warned(Struct, frozen=True):
    """How the cascades of one kind were announced before their onset: their first liquidation.

    A warning counts if its incident is still open at the onset. ``flow_opened`` counts order-flow
    incidents that opened since the first intervention, open or not. Leads are in seconds, from the
    opening of the incident that counts.

    Attributes
    ----------
    scenario, strength, symbol
        What was simulated, and which symbol: ``first``, or ``follower`` of another one's cascade.
    cascades, markets
        The number of cascades, and of markets.
    fall_median
        The fall of the mark price from the onset on, as a ratio.
    cascade, critical
        The share with an incident of `cascade` that is open at the onset, and with a critical one.
    lead_median_seconds, lead_p10_seconds
        Of `cascade`.
    flow, flow_lead_median_seconds
        The same for the incidents of order flow.
    flow_opened, flow_opened_lead_median_seconds
        For those that have opened since the intervention.
    either
        The share with an open incident of either.
    """

    scenario: str
    strength: float
    symbol: str
    cascades: int
    markets: int
    fall_median: float | None
    cascade: Interval | None
    critical: Interval | None
    lead_median_seconds: float | None
    lead_p10_seconds: float | None
    flow: Interval | None
    flow_lead_median_seconds: float | None
    flow_opened: Interval | None
    flow_opened_lead_median_seconds: float | None
    either: Interval | None


class CalmTime(Struct, frozen=True):
    """The time in alarm where nothing was provoked yet, or at all.

    ``symbol_hours`` and ``venue_hours`` are what could be in alarm. The shares are of that time.
    ``whales`` counts the incidents of `cascade` with one account of at least 15 % of the open
    interest within 1 %.
    """

    market: str
    symbol_hours: float
    venue_hours: float
    cascade_ratio: float
    cascade_incidents: int
    whales: int
    contagion_ratio: float
    contagion_incidents: int
    flow_ratio: float


class Explained(Struct, frozen=True):
    """An incident on calm time, and what it states."""

    market: str
    seed: int
    detector: str
    symbol: str
    seconds: float
    whale_ratio: float | None
    summary: str


class Safe(Struct, frozen=True):
    """What was raised where nothing must be: markets with an incident after the warm-up."""

    scenario: str
    rule: str
    markets: int
    cascade: int
    critical: int
    contagion: int
    liquidated: int


class Spreading(Struct, frozen=True):
    """How `contagion` foresaw that a cascade spread to a second symbol.

    A spread is announced by an incident that is open at some moment from the onset in the first
    symbol to the onset in the second. Its last alert before the second onset counts.

    Attributes
    ----------
    scenario, spreads
        Where, and how many.
    announced, before
        The share that is announced, and by an incident that is open at the first onset.
    named, named_way
        The share of all whose alert names both symbols; and whose alert says that liquidations of
        the first spread to the second, not only the other way.
    lead_median_seconds
        From the opening to the onset in the second symbol.
    others
        How many symbols beside the two are named, on average.
    """

    scenario: str
    spreads: int
    announced: Interval | None
    before: Interval | None
    named: Interval | None
    named_way: Interval | None
    lead_median_seconds: float | None
    others: float | None


class Unspread(Struct, frozen=True):
    """Markets in which no cascade spread.

    ``contagion`` counts those with an incident of `contagion` that was open at the onset of the
    first cascade, or at any time from the intervention on if there was no cascade.
    """

    scenario: str
    markets: int
    contagion: int


class Test(Struct, frozen=True):
    """Kupiec's test of a quantile.

    ``below`` of ``cases`` are below it; ``expected`` is the share that should be. ``p_value`` is
    corrected for cases of the same market; None without cases.
    """

    expected: float
    cases: int
    below: int
    p_value: float | None


class Predicted(Struct, frozen=True):
    """Predicted against realised, one number in one group of cascades.

    Attributes
    ----------
    what
        ``fall``, ``forced notional``, or the distance for a share of the open interest.
    rule
        How the venue is said to close positions.
    group
        Which cascades.
    cascades, markets
        How many had a prediction.
    error_median
        Median absolute logarithm of realised over the predicted median.
    bias_median
        Median logarithm of realised over the predicted median: below 0, less than predicted.
    coverage
        The share between the 10 and the 90 % quantile, both included.
    pit
        How many are below 10 %, from there to 50 %, from there to 90 %, and above.
    tests
        Of the three quantiles.
    """

    what: str
    rule: str
    group: str
    cascades: int
    markets: int
    error_median: float | None
    bias_median: float | None
    coverage: Interval | None
    pit: list[int]
    tests: list[Test]


class Compared(Struct, frozen=True):
    """One number as an alarm, with the threshold that gives a stated share of calm time in alarm.

    ``at_120s``, ``at_60s`` and ``at_onset`` are the shares of cascades that have the alarm that
    long before their onset. ``safe_ratio`` is the share of time in alarm where nothing must be.
    """

    name: str
    calm_ratio: float
    threshold: float | None
    at_120s: Interval | None
    at_60s: Interval | None
    at_onset: Interval | None
    safe_ratio: float | None


class RiskCard(Struct, frozen=True):
    """All figures on the risk of positions."""

    warned: list[Warned]
    calm: list[CalmTime]
    explained: list[Explained]
    safe: list[Safe]
    spreading: list[Spreading]
    unspread: list[Unspread]
    predicted: list[Predicted]
    compared: list[Compared]
