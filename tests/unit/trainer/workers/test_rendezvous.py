"""Workers meet, talk and lose each other: in threads, without TensorFlow."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from trainyard_trainer.errors import BadInput, PeerLost, PeersMissing
from trainyard_trainer.fitting.step_sync import (
    CallSummary,
    ValidationRound,
    WeightsDiffer,
    add_up,
    check_same,
    sync_call,
    sync_validation,
)
from trainyard_trainer.workers.cluster import Cluster
from trainyard_trainer.workers.connection import FAREWELL, HELLO, Connection, receive, send
from trainyard_trainer.workers.group import SINGLE_WORKER, ConnectedGroup, WorkerGroup
from trainyard_trainer.workers.rendezvous import Invitation, Rendezvous, check_same_data, join_group

TERMS = {"the job": "churn", "the number of workers": 3}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def addresses(count: int) -> tuple[tuple[str, int], ...]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = tuple(("127.0.0.1", int(probe.getsockname()[1])) for probe in probes)
    for probe in probes:
        probe.close()
    return found


def join(
    pool: ThreadPoolExecutor,
    cluster: Cluster,
    *,
    terms: dict[str, Any] = TERMS,
    secret: str = "secret",
    seconds: float = 20,
) -> "Future[Rendezvous]":
    return pool.submit(
        join_group, cluster, Invitation(terms, secret), seconds=seconds, abandon=lambda loss: None, beat_seconds=0.05
    )


@pytest.fixture
def three(pool: ThreadPoolExecutor) -> Iterator[list[WorkerGroup]]:
    """Three workers that have met."""
    where = addresses(3)
    meetings = [each.result() for each in [join(pool, Cluster(where, index)) for index in (2, 0, 1)]]
    group = sorted((each.group for each in meetings), key=lambda each: each.index)
    yield group
    for each in group:
        each.leave()


def in_all(pool: ThreadPoolExecutor, group: list[WorkerGroup], call: Callable[[WorkerGroup], Any]) -> list[Any]:
    return [each.result(timeout=20) for each in [pool.submit(call, each) for each in group]]


def test_all_learn_the_same_addresses_in_the_order_of_their_numbers(pool: ThreadPoolExecutor) -> None:
    where = addresses(3)

    meetings = [each.result() for each in [join(pool, Cluster(where, index)) for index in (1, 2, 0)]]

    assert {each.addresses for each in meetings} == {tuple(f"127.0.0.1:{port}" for _, port in where)}
    # TensorFlow's server of the chief takes the port over while the connections stay.
    with socket.create_server(where[0]):
        assert in_all(pool, [each.group for each in meetings], lambda each: each.gather(each.index)) == [[0, 1, 2]] * 3
    for each in meetings:
        each.group.leave()


def test_everyone_gets_the_values_of_all_and_the_content_of_the_chief(
    pool: ThreadPoolExecutor, three: list[WorkerGroup]
) -> None:
    large = bytes(range(256)) * 20_000

    assert (
        in_all(pool, three, lambda each: each.gather({"number": each.index}))
        == [[{"number": 0}, {"number": 1}, {"number": 2}]] * 3
    )
    assert in_all(pool, three, lambda each: each.share(b"" if each.index else large)) == [large] * 3


def test_those_who_do_not_come_are_named_to_all_who_did(pool: ThreadPoolExecutor) -> None:
    where = addresses(3)

    waiting = [join(pool, Cluster(where, index), seconds=1) for index in (0, 1)]

    for each in waiting:
        with pytest.raises(PeersMissing) as missing:
            each.result(timeout=20)
        assert f"waited 1 s in vain for worker 2 (127.0.0.1:{where[2][1]})" in str(missing.value)
        assert missing.value.exit_code == 69


def test_a_chief_that_does_not_come_is_named(pool: ThreadPoolExecutor) -> None:
    where = addresses(2)

    with pytest.raises(PeersMissing, match=rf"the chief, worker 0 at 127.0.0.1:{where[0][1]}"):
        join(pool, Cluster(where, 1), seconds=0.6).result(timeout=20)


@pytest.mark.parametrize("other", [{"the job": "churn"}, {"the job": "other", "the number of workers": 3}])
def test_workers_that_were_started_for_something_else_are_refused_with_the_difference(
    other: dict[str, Any], pool: ThreadPoolExecutor
) -> None:
    where = addresses(2)

    both = [join(pool, Cluster(where, 0)), join(pool, Cluster(where, 1), terms=other)]

    for each in both:
        with pytest.raises(BadInput, match="worker 1 and worker 0 were not started alike: the "):
            each.result(timeout=20)


def test_an_index_can_be_had_once_and_strangers_are_not_counted(pool: ThreadPoolExecutor) -> None:
    where = addresses(3)
    chief = join(pool, Cluster(where, 0))
    first = join(pool, Cluster(where, 1))
    stranger = _connect(where[0])
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(TimeoutError):
        first.result(timeout=0.5)

    with pytest.raises(BadInput, match=r"task.index 1 is taken"):
        join(pool, Cluster(where, 1)).result(timeout=20)
    last = join(pool, Cluster(where, 2))

    for each in (chief, first, last):
        each.result(timeout=20).group.leave()
    stranger.close()


def hello_of(index: int, terms: dict[str, Any], invitation: Invitation) -> bytes:
    hello = json.dumps({"index": index, "port": 1, "terms": terms})
    return json.dumps({"hello": hello, "proof": invitation.proof(hello)}).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"index": 1, "port": 1, "terms": {}}', id="no proof"),
        pytest.param(hello_of(1, {}, Invitation({}, "guessed")), id="another secret and other terms"),
        pytest.param(hello_of(1, TERMS, Invitation(TERMS, "guessed")), id="another secret and the same terms"),
        pytest.param(b'{"hello": "{}", "proof": "\\ud800"}', id="a proof that is no text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"\xff\xfe", id="no JSON"),
    ],
)
def test_the_hello_of_a_stranger_ends_nothing(content: bytes, pool: ThreadPoolExecutor) -> None:
    where = addresses(2)
    chief = join(pool, Cluster(where, 0))
    with closing(_connect(where[0])) as stranger:
        send(stranger, HELLO, content)
        assert stranger.recv(1) == b""  # dropped without an answer

    guest = join(pool, Cluster(where, 1))

    for worker in (chief, guest):
        worker.result(timeout=20).group.leave()


def test_a_worker_that_was_started_anew_while_the_others_wait_is_let_in(pool: ThreadPoolExecutor) -> None:
    where = addresses(3)
    chief = join(pool, Cluster(where, 0))
    gone = _connect(where[0])
    send(gone, HELLO, hello_of(1, TERMS, Invitation(TERMS, "secret")))
    gone.close()

    others = [join(pool, Cluster(where, index)) for index in (1, 2)]

    for each in (chief, *others):
        each.result(timeout=20).group.leave()


def test_a_worker_that_dies_is_named_to_all(pool: ThreadPoolExecutor, three: list[WorkerGroup]) -> None:
    dying = three[2]
    assert isinstance(dying, ConnectedGroup)
    _connection_of(dying).shutdown(socket.SHUT_RDWR)  # what the kernel does to the connections of a killed process

    for each in three[:2]:
        with pytest.raises(PeerLost, match="worker 2 is gone without a word"):
            each.gather(1)
        assert "worker 2" in str(each.loss(within=0))


def test_a_worker_that_ends_for_a_reason_says_so(pool: ThreadPoolExecutor, three: list[WorkerGroup]) -> None:
    three[1].leave("BadInput: no such column")

    for each in (three[0], three[2]):
        loss = each.loss(within=20)
        assert loss is not None
        assert "worker 1 has ended: BadInput: no such column" in str(loss)


def test_a_worker_that_leaves_when_all_is_done_is_no_loss(three: list[WorkerGroup]) -> None:
    three[1].leave()
    three[2].leave()

    assert three[0].loss(within=1) is None  # 20 beats: twice the silence of a worker that is there


def test_a_worker_that_hangs_is_noticed_by_its_silence_and_the_program_is_ended_where_it_does_not_notice() -> None:
    ours, theirs = _pair()
    abandoned: list[PeerLost] = []
    ended = threading.Event()

    def abandon(loss: PeerLost) -> None:
        abandoned.append(loss)
        ended.set()

    group = ConnectedGroup({1: ours}, index=0, count=2, abandon=abandon, beat_seconds=0.02)

    assert ended.wait(20)
    with closing(theirs), pytest.raises(PeerLost, match="worker 1 has given no sign of life for 10"):
        group.gather(1)
    assert "worker 1" in str(abandoned[0])


def test_a_program_that_leaves_in_time_is_not_ended_from_outside() -> None:
    ours, theirs = _pair()
    abandoned: list[PeerLost] = []
    group = ConnectedGroup({0: ours}, index=1, count=2, abandon=abandoned.append, beat_seconds=0.2)
    theirs.close()

    assert group.loss(within=20)
    group.leave()

    assert not threading.Event().wait(0.8)
    assert abandoned == []


CALL = CallSummary({"count": 10.0, "loss": 3.0}, -1, True, stop=False, save=False, seconds=1.0, steps_per_call=8)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({}, {"totals": {"count": 19.0, "loss": 5.0}}),
        ({"stop": True}, {"stop": True}),
        ({"bad_step": 3}, {"bad_step": 3}),
        ({"weights_finite": False}, {"weights_finite": False}),
        # Clocks and pace are the chief's.
        ({"save": True, "seconds": 9.0, "steps_per_call": 99}, {"save": False, "seconds": 1.0, "steps_per_call": 8}),
    ],
)
def test_what_a_call_did_is_settled_for_all_alike(
    theirs: dict[str, Any], expected: dict[str, Any], pool: ThreadPoolExecutor, three: list[WorkerGroup]
) -> None:
    before = {"count": 1.0, "loss": 1.0}
    middle = replace(CALL, totals=before)
    calls = [CALL, replace(CALL, **theirs), middle]

    settled = in_all(pool, three, lambda each: sync_call(each, calls[each.index], before))

    assert settled[0] == settled[1] == settled[2]
    for name, value in expected.items():
        assert getattr(settled[0], name) == value
    assert sync_call(SINGLE_WORKER, CALL, before) is CALL


def test_workers_with_different_numbers_of_blocks_take_turns_until_nobody_has_one_left(
    pool: ThreadPoolExecutor, three: list[WorkerGroup]
) -> None:
    def turns(each: WorkerGroup, blocks: int) -> int:
        taken = 0
        while sync_validation(each, ValidationRound(more=taken < blocks, stop=False)).more:
            taken += 1
        return taken

    assert in_all(pool, three, lambda each: turns(each, blocks=2 * each.index)) == [4, 4, 4]
    assert {
        each.stop
        for each in in_all(pool, three, lambda each: sync_validation(each, ValidationRound(False, each.index == 1)))
    } == {True}


def test_totals_add_up_also_where_a_worker_has_none(pool: ThreadPoolExecutor, three: list[WorkerGroup]) -> None:
    own: list[dict[str, Any]] = [{"loss": 1.5, "histogram": [1, 2]}, {}, {"loss": 2.0, "histogram": [3, 4]}]

    for found in in_all(pool, three, lambda each: add_up(each, own[each.index])):
        assert float(found["loss"]) == 3.5
        assert found["histogram"].tolist() == [4, 6]


def test_weights_and_data_that_differ_are_noticed_by_all(pool: ThreadPoolExecutor, three: list[WorkerGroup]) -> None:
    import numpy as np

    def differ(each: WorkerGroup, odd: int) -> str:
        try:
            check_same(each, {"w": np.full(3, float(each.index == odd), np.float32)})
        except WeightsDiffer as error:
            return str(error)
        return ""

    assert in_all(pool, three, lambda each: differ(each, odd=7)) == [""] * 3
    assert {each[:24] for each in in_all(pool, three, lambda each: differ(each, odd=2))} == {"the weights of worker 2 "}
    for each in [pool.submit(check_same_data, group, f"d{group.index // 2}") for group in three]:
        with pytest.raises(BadInput, match="worker 2 has read other data"):
            each.result(timeout=20)


def test_a_link_tells_once_and_says_nothing_of_an_orderly_end() -> None:
    ours, theirs = _pair()
    lost: list[str] = []
    connection = Connection(ours, "worker 1", lost.append)
    send(theirs, FAREWELL)

    assert connection.take() is None
    theirs.close()
    connection.beat(0)
    assert lost == []


def _connect(address: tuple[str, int]) -> socket.socket:
    for _ in range(200):
        try:
            return socket.create_connection(address, timeout=5)
        except OSError:
            threading.Event().wait(0.02)
    raise AssertionError("nobody listens")


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def _connection_of(group: ConnectedGroup) -> socket.socket:
    return group._connections[0]._socket


def test_a_message_that_is_longer_than_a_strangers_may_be_is_refused() -> None:
    ours, theirs = _pair()
    with closing(ours), closing(theirs):
        theirs.sendall(b"h" + (1 << 40).to_bytes(8, "big"))
        with pytest.raises(ConnectionError):
            receive(ours, 1 << 16)
