"""What a new symbol borrows from its peers, so that it need not learn everything by itself.

Features are dimensionless, so how much they vary and how long a score's tail is are much the same
from symbol to symbol. Each symbol that has been watched for long enough gives a lesson at its
first bar of every hour; a symbol that is admitted takes the median of the lessons that were given
in earlier hours (a hyperprior with few parameters: Gelman et al., Bayesian Data Analysis, 2013,
section 5.1). Which lessons those are depends on event time alone, so that a service that comes back
from snapshots lends what it lent before.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct

from detectors.judging.calibration import Tail

HOUR_NS = 3_600_000_000_000
MIN_PEERS = 3
"""Fewer may all be odd."""
MAX_PEERS = 100
"""More say nothing new; the first by name are asked."""
LESSONS_KEPT = 3
"""A snapshot may be an hour ahead of a symbol that borrows, so some hours' lessons are kept."""


class Lesson(Struct, frozen=True):
    """What one symbol has learned for one detector.

    ``squares`` are its features' mean squared deviations, ``tail`` is that of its scores.
    """

    squares: dict[str, float]
    tail: Tail


Lessons = Mapping[str, Lesson]
"""A lesson for each detector that has one, by the detector's name."""

GivenLessons = list[tuple[int, dict[str, Lesson]]]
"""The hours in which a symbol gave lessons, ascending, and the lessons."""


def lent(given: Mapping[str, GivenLessons], hour: int) -> dict[str, Lesson]:
    """What a symbol admitted in ``hour`` borrows from the lessons that its peers have given.

    ``hour`` is counted from the epoch. A detector that too few peers have a lesson for is left out.
    """
    latest = [
        lessons[-1]
        for _, its in sorted(given.items())
        if (lessons := [lesson for when, lesson in its if when < hour])
    ][:MAX_PEERS]
    return pooled_by_detector(latest)


def pooled_by_detector(taught: Sequence[Lessons]) -> dict[str, Lesson]:
    """The lessons of several symbols, pooled for each detector that enough of them teach."""
    names = dict.fromkeys(name for lessons in taught for name in lessons)
    by_detector = {name: [its[name] for its in taught if name in its] for name in names}
    return {
        name: pooled(lessons) for name, lessons in by_detector.items() if len(lessons) >= MIN_PEERS
    }


def pooled(lessons: Sequence[Lesson]) -> Lesson:
    """The median of each number.

    >>> tails = [Tail(3.0, 0.002, 0.0, 1.0), Tail(4.0, 0.003, 0.1, 1.0), Tail(9.0, 0.5, 0.2, 7.0)]
    >>> pooled([Lesson({"spread": float(i)}, tail) for i, tail in enumerate(tails)])
    Lesson(squares={'spread': 1.0}, tail=Tail(threshold=4.0, episodes_per_bar=0.003, shape=0.1, scale=1.0))
    """  # noqa: E501 - one line of output
    features = dict.fromkeys(feature for lesson in lessons for feature in lesson.squares)
    squares = {
        feature: median(lesson.squares[feature] for lesson in lessons if feature in lesson.squares)
        for feature in features
    }
    tails = zip(*(lesson.tail for lesson in lessons), strict=True)
    return Lesson(squares, Tail(*(median(numbers) for numbers in tails)))
