"""How long it is certain that the group has not given the partitions to another member."""

import time


class Membership:
    """The last proof that this process is a member of the group, and how long it is valid.

    A process that was frozen for longer than the session timeout, or cut off from the broker, has
    been replaced without knowing it. The broker refuses its commits. It accepts its snapshots,
    which would replace those of its successor. So Foreshock sends snapshots only while the last
    proof of membership is valid.

    Parameters
    ----------
    session_timeout_seconds
        The time without a heartbeat after which the broker replaces a member.
    """

    def __init__(self, session_timeout_seconds: float) -> None:
        self._session_timeout_seconds = session_timeout_seconds
        self._until = 0.0

    def renew(self, at: float) -> None:
        """Record a proof: the group answered a request sent at ``at`` (monotonic seconds)."""
        self._until = at + self._session_timeout_seconds

    def holds(self) -> bool:
        """Return whether the last proof is still valid."""
        return self.left_seconds() > 0.0

    def left_seconds(self) -> float:
        """Return the remaining validity of the last proof, in seconds."""
        return max(0.0, self._until - time.monotonic())
