"""Which range of pod addresses a node gets."""

from ipaddress import IPv4Network

import pytest

from trainyard_devcluster.controllers.nodes.ranges import free_range

CLUSTER = IPv4Network("127.64.0.0/16")


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ([], "127.64.0.0/20"),
        (["127.64.0.0/20", "127.64.32.0/20"], "127.64.16.0/20"),
        (["127.64.5.0/24"], "127.64.16.0/20"),
        (["10.244.1.0/24"], "127.64.0.0/20"),
        (["127.64.0.0/17", "127.64.128.0/17"], None),
    ],
)
def test_a_node_gets_the_first_range_that_overlaps_no_others(taken: list[str], chosen: str | None) -> None:
    assert free_range(CLUSTER, taken) == chosen


def test_a_small_cluster_has_one_range() -> None:
    assert free_range(IPv4Network("127.64.0.0/24"), []) == "127.64.0.0/24"
