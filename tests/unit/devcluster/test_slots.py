"""Devclusters of one machine do not share addresses."""

import contextlib
from contextlib import ExitStack
from ipaddress import IPv4Network

import pytest

from trainyard_devcluster import slots
from trainyard_devcluster.slots import COUNT, NoSlotError, Slot, slot


def test_all_ranges_are_loopback_and_none_overlap() -> None:
    ranges = [IPv4Network(cidr) for n in range(COUNT) for cidr in (Slot(n).pod_cidr, Slot(n).service_cidr)]
    assert all(each.is_loopback for each in ranges)
    assert len(set(ranges)) == 2 * COUNT


def test_a_slot_is_held_by_one_at_a_time_and_free_again_afterwards() -> None:
    with slot() as first, slot() as second:
        assert first != second
    with slot() as again:
        assert again.number <= first.number


def test_more_clusters_than_ranges_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "COUNT", 1)
    with ExitStack() as held:
        with contextlib.suppress(NoSlotError):  # another devcluster may have it
            held.enter_context(slot())
        with pytest.raises(NoSlotError, match="end one of them"):
            held.enter_context(slot())
