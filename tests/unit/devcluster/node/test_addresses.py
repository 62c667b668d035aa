"""Pod addresses."""

import pytest

from trainyard_devcluster.node.addresses import AddressesExhaustedError, AddressPool


def test_addresses_are_used_again_as_late_as_possible() -> None:
    pool = AddressPool("127.64.0.0/29")
    first = pool.take()
    assert first == "127.64.0.2"
    pool.give_back(first)
    assert [pool.take() for _ in range(5)] == [f"127.64.0.{n}" for n in (3, 4, 5, 6, 2)]
    with pytest.raises(AddressesExhaustedError):
        pool.take()


def test_a_pod_keeps_the_address_it_had_if_that_is_free() -> None:
    pool = AddressPool("127.64.0.0/16")
    assert pool.take("127.64.3.7") == "127.64.3.7"
    assert pool.take("127.64.3.7") == "127.64.0.2"
    assert pool.take("10.0.0.1") == "127.64.0.3"


def test_only_loopback_ranges_need_no_set_up() -> None:
    assert AddressPool("127.64.0.0/16").loopback
    assert not AddressPool("10.244.0.0/24").loopback


def test_a_range_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room for pods"):
        AddressPool("127.64.0.0/31")
