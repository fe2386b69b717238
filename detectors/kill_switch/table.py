"""The states of a kill switch, and every transition between them."""

from collections.abc import Mapping
from typing import Literal

State = Literal["armed", "caution", "reduce_only", "tripped", "held"]
"""How freely a gateway may trade.

``armed``: freely. ``caution``: smaller, slower, with no more leverage. ``reduce_only``: only orders
that reduce a position, and cancels. ``tripped``: cancel what rests, then as ``reduce_only``.
``held``: an operator stops every new order; cancels pass.
"""

Trigger = Literal["caution", "reduce_only", "tripped", "eased", "calm", "trip", "hold", "rearm"]
"""What moves a switch. The first three are the states that evidence calls for. ``eased``: nothing
calls for the state any more, but something calls for caution. ``calm``: nothing calls for anything.
The last three are commands of an operator."""

LEVELS: Mapping[State, int] = {"armed": 0, "caution": 1, "reduce_only": 2, "tripped": 3, "held": 4}
"""How strict each state is."""

TABLE: Mapping[tuple[State, Trigger], State] = {
    ("armed", "caution"): "caution",
    ("armed", "reduce_only"): "reduce_only",
    ("armed", "tripped"): "tripped",
    ("armed", "trip"): "tripped",
    ("armed", "hold"): "held",
    ("armed", "rearm"): "armed",
    ("caution", "reduce_only"): "reduce_only",
    ("caution", "tripped"): "tripped",
    ("caution", "calm"): "armed",
    ("caution", "trip"): "tripped",
    ("caution", "hold"): "held",
    ("caution", "rearm"): "armed",
    ("reduce_only", "tripped"): "tripped",
    ("reduce_only", "eased"): "caution",
    ("reduce_only", "calm"): "armed",
    ("reduce_only", "trip"): "tripped",
    ("reduce_only", "hold"): "held",
    ("reduce_only", "rearm"): "armed",
    # Without an operator, a trip ends only here.
    ("tripped", "eased"): "reduce_only",
    ("tripped", "calm"): "reduce_only",
    ("tripped", "trip"): "tripped",
    ("tripped", "hold"): "held",
    ("tripped", "rearm"): "armed",
    # What an operator holds, an operator releases.
    ("held", "trip"): "tripped",
    ("held", "hold"): "held",
    ("held", "rearm"): "armed",
}
"""The state that follows from a state and a trigger. A pair that is missing changes nothing."""
