"""A short, repeatable form of ``make fuzz``."""

import random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import CORPORA
from tests.fuzz.targets import TARGETS

CASES = {"wire": 1_500, "core": 250, "files": 500, "snapshots": 400}


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_cases_break_nothing(target: str):
    rng = random.Random(f"fuzz {target}")
    corpus = list(CORPORA[target]())
    for data in corpus:
        TARGETS[target](data)
    for _ in range(CASES[target]):
        data = mutated(target, rng.choice(corpus), rng)
        corpus.append(data)
        try:
            TARGETS[target](data)
        except BaseException as error:
            error.add_note(f"the case: {data.hex()}")
            raise
