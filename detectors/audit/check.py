"""What a check of the audit is."""

from collections.abc import Callable
from typing import NamedTuple

from detectors.audit.outcome import Finding
from detectors.audit.tape import Evidence


class Check(NamedTuple):
    """A check.

    Attributes
    ----------
    number
        The number of the testing guide, or a word for those beside it.
    name
        In lower case with underscores.
    rule
        What must hold to pass, in one sentence.
    inputs
        The streams that it needs.
    source
        Where the rule comes from.
    run
        Judges the evidence.
    """

    number: str
    name: str
    rule: str
    inputs: tuple[str, ...]
    source: str
    run: Callable[[Evidence], Finding]
