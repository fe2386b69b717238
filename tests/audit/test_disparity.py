"""The known disparity of the simulated exchange, which the audit explains by the rule."""

from detectors.audit.claims import Book
from detectors.audit.sizes import sufficiency
from tests.audit.made import cascade, evidence, venue_claims


def test_small_positions_that_are_closed_whole_are_an_effect_of_the_rule_and_no_breach():
    read = evidence(cascade(3))
    finding = sufficiency(read)
    assert finding.outcome == "pass_weak"
    assert finding.breaches == 0
    words = finding.sentence.partition("; the smallest quarter of positions ")[2]
    assert words.startswith("was closed by 100% where 47% would have sufficed, the largest by")
    assert "an effect of the claimed rule that positions are closed in steps of 20%, and small" in (
        words
    )
    assert "not a breach of it" in words
    assert finding.facts["would have sufficed, smallest quarter"] < 0.5
    read.claims = Book()
    assert "whether this is the rule, no claim says" in sufficiency(read).sentence
    read.claims = venue_claims(over_p95_ratio=0.1)
    assert sufficiency(read).outcome == "fail"  # a claim that forbids it is broken
