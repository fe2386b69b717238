"""Who gets which partitions, also while the topics do not have the same number of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from service.kafka.copartitioning import CopartitionedAssignor


def cluster(**partitions: int) -> Any:
    """Metadata of topics; 0 partitions: not known."""
    return SimpleNamespace(
        partitions_for_topic=lambda topic: set(range(partitions[topic])) or None,
    )


def numbers(assignor: Any, metadata: Any, members: int) -> dict[str, dict[str, list[int]]]:
    """What each member gets of each topic."""
    topics = ["orders", "cancels", "trades"]
    joined = {f"member-{i}": assignor.metadata(topics) for i in range(members)}
    assigned = assignor.assign(metadata, joined)
    return {member: dict(its.assignment) for member, its in assigned.items()}


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_with_equal_counts_it_is_range(members: int):
    metadata = cluster(orders=4, cancels=4, trades=4)
    expected = numbers(RangePartitionAssignor, metadata, members)
    assert numbers(CopartitionedAssignor, metadata, members) == expected
    assert CopartitionedAssignor.name == RangePartitionAssignor.name


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_with_unequal_counts_every_member_gets_the_same_numbers_of_every_topic(members: int):
    assigned = numbers(CopartitionedAssignor, cluster(orders=7, cancels=4, trades=6), members)
    for its in assigned.values():
        assert its["orders"] == its["cancels"] == its["trades"]
    assert sorted(n for its in assigned.values() for n in its["orders"]) == [0, 1, 2, 3]


def test_a_topic_that_is_not_known_does_not_take_the_others_away():
    assigned = numbers(CopartitionedAssignor, cluster(orders=2, cancels=2, trades=0), 1)
    assert assigned == {"member-0": {"orders": [0, 1], "cancels": [0, 1]}}
