"""How long the group cannot have given the partitions to another without our knowing."""

import time


class Membership:
    """The last sign that this process is a member of the group, and how long it is good for.

    A process that was frozen for longer than the session timeout, or cut off, has been replaced and
    has yet to hear of it. Its commits the broker refuses; its snapshots would take the place of its
    successor's. So they are sent only while the last sign of membership is fresh.

    Parameters
    ----------
    session_timeout_seconds
        After how long without a sign the broker replaces a member.
    """

    def __init__(self, session_timeout_seconds: float) -> None:
        self._session_timeout_seconds = session_timeout_seconds
        self._until = 0.0

    def renew(self, at: float) -> None:
        """There was a sign: the group answered what was asked at ``at`` (monotonic seconds)."""
        self._until = at + self._session_timeout_seconds

    def holds(self) -> bool:
        """Whether the last sign is fresh."""
        return self.left_seconds() > 0.0

    def left_seconds(self) -> float:
        """For how long the last sign is still good."""
        return max(0.0, self._until - time.monotonic())
