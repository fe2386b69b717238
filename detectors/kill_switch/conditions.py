"""What a kill switch is told, and the state that this calls for.

Evidence comes in families: the order flow, the liquidation ladder, and the venue's own limits. One
family alone never trips the switch: a model that is wrong would stop a market. The findings of the
feed are no family. They only say whether the others can be trusted.
"""

from msgspec import Struct

from detectors.kill_switch.table import LEVELS

NEVER_NS = 2**63 - 1
"""The end of evidence that does not end by itself, such as a halt without an end."""


class Conditions(Struct, frozen=True):
    """The evidence about a symbol. Times are nanoseconds of event time; 0: it does not hold.

    Attributes
    ----------
    flow_until_ns
        Until when a critical incident of the order flow is open if nothing prolongs it: alarms with
        a measured effect on the market.
    ladder_warning, ladder_critical
        The severity of the symbol's open ``cascade`` alert.
    tightened_until_ns
        Until when the venue's limits count as tightened: it raised margins, or halts the symbol.
    distrusted_until_ns
        Until when a finding says that the data is unreliable.
    """

    flow_until_ns: int = 0
    ladder_warning: bool = False
    ladder_critical: bool = False
    tightened_until_ns: int = 0
    distrusted_until_ns: int = 0

    def at(self, now_ns: int) -> "Conditions":
        """Return the evidence that still holds at a moment."""
        return Conditions(
            self.flow_until_ns if now_ns < self.flow_until_ns else 0,
            self.ladder_warning,
            self.ladder_critical,
            self.tightened_until_ns if now_ns < self.tightened_until_ns else 0,
            self.distrusted_until_ns if now_ns < self.distrusted_until_ns else 0,
        )

    @property
    def next_end_ns(self) -> int:
        """When the first of the evidence ends by itself; 0 if none does."""
        ends = (self.flow_until_ns, self.tightened_until_ns, self.distrusted_until_ns)
        return min((end for end in ends if 0 < end < NEVER_NS), default=0)


CALM = Conditions()


def level_to_hold(its: Conditions) -> int:
    """Return the strictest level of ``table.LEVELS`` that evidence keeps, whether trusted or not.

    Two families call for ``tripped``. ``its`` holds what holds now, see `Conditions.at`.

    >>> level_to_hold(Conditions(flow_until_ns=9, ladder_warning=True, distrusted_until_ns=9))
    3
    """
    near = its.ladder_warning or its.ladder_critical
    tightened = bool(its.tightened_until_ns)
    if (its.flow_until_ns and (near or tightened)) or (its.ladder_critical and tightened):
        return LEVELS["tripped"]
    if its.flow_until_ns or its.ladder_critical:
        return LEVELS["reduce_only"]
    return LEVELS["caution"] if near or tightened or its.distrusted_until_ns else LEVELS["armed"]


def level_to_enter(its: Conditions) -> int:
    """Return the level that evidence calls for; at most caution on data that is not trusted.

    >>> level_to_enter(Conditions(flow_until_ns=9, ladder_warning=True, distrusted_until_ns=9))
    1
    >>> level_to_enter(Conditions(flow_until_ns=9))
    2
    """
    level = level_to_hold(its)
    return min(level, LEVELS["caution"]) if its.distrusted_until_ns else level


def described(its: Conditions) -> str:
    """Name the evidence.

    >>> described(Conditions(flow_until_ns=9, tightened_until_ns=9))
    'the order flow is critical and the venue has tightened its limits'
    """
    named = [
        text
        for holds, text in (
            (its.flow_until_ns, "the order flow is critical"),
            (its.ladder_critical, "the liquidation ladder is critical"),
            (its.ladder_warning and not its.ladder_critical, "a run of liquidations is near"),
            (its.tightened_until_ns, "the venue has tightened its limits"),
            (its.distrusted_until_ns, "the data is not trusted"),
        )
        if holds
    ]
    return " and ".join(named)
