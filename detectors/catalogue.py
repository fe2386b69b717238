"""The detectors that run. Adding one is its file, its line here and its runbook section."""

from detectors import cancel_burst, fading_book, leverage_jump, thin_book

CATALOGUE = (
    cancel_burst.DETECTOR,
    leverage_jump.DETECTOR,
    thin_book.DETECTOR,
    fading_book.DETECTOR,
)
