"""Where workers meet before TensorFlow is started: all are there, and came for the same training, or none starts.

TensorFlow itself would wait for a missing worker for ever, deaf to signals. The chief listens on its own address of
TF_CONFIG, which is TensorFlow's later; the connections that were made stay for what `group` has to say.
"""

import contextlib
import hashlib
import hmac
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trainyard_trainer.errors import BadInput, PeerLost, PeersMissing, listed, one_line
from trainyard_trainer.tensorflow_logs import quiet
from trainyard_trainer.workers.cluster import Address, Cluster, shown
from trainyard_trainer.workers.connection import HELLO, MOST_BYTES_OF_A_STRANGER, REFUSED, WELCOME, receive, send
from trainyard_trainer.workers.gil_release import unlocked_connecting
from trainyard_trainer.workers.group import BEAT_SECONDS, SINGLE_WORKER, ConnectedGroup, WorkerGroup

CONNECT_SECONDS = 60
"""TensorFlow's servers find each other in a second or two, but for those whose ports a network keeps shut."""
_LOOK_SECONDS = 0.25
_HELLO_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Invitation:
    """What brings workers together.

    Attributes:
        terms: What all must agree in, by name.
        secret: What only those of this training know. Whoever does not prove to know it is a stranger.
    """

    terms: Mapping[str, object]
    secret: str = ""

    def proof(self, hello: str) -> str:
        """Return what a worker adds to its hello; it says nothing of the secret."""
        return hmac.new(self.secret.encode(), hello.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """The workers, and where TensorFlow finds each: addresses instead of names, which its own resolver may not know."""

    group: WorkerGroup
    addresses: tuple[str, ...]
    abandon: Callable[[PeerLost], None] = lambda loss: None

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Have all workers start TensorFlow's servers together, and end the process where those do not find each other.

        A worker that dies just then is noticed as at any other time, because the lock that threads need is free.
        """
        if not self.addresses:
            yield
            return
        # It reports every worker that leaves, in whatever order, as an error; what matters comes as an exception.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet():
            import tensorflow  # noqa: F401 (before the clock is started)
        self.group.ready()
        late = PeerLost(
            f"TensorFlow's servers at {listed(self.addresses)} have not found each other within {CONNECT_SECONDS} s: "
            "see that all workers can reach each other on these ports"
        )
        clock = threading.Timer(CONNECT_SECONDS, self.abandon, [late])
        clock.daemon = True
        clock.start()
        try:
            with unlocked_connecting():
                yield
        finally:
            clock.cancel()


SINGLE_PROCESS = Rendezvous(SINGLE_WORKER, ())


def check_same_data(group: WorkerGroup, digest: str) -> None:
    """Check that all workers have read the same data.

    Raises:
        BadInput: they have not.
    """
    digests = group.gather(digest)
    if odd := [number for number, found in enumerate(digests) if found != digests[0]]:
        raise BadInput(
            f"worker {odd[0]} has read other data than worker 0 ({len(digests)} workers train together): give all of "
            "them the same files, and change none while they start"
        )


def join_group(
    cluster: Cluster,
    invitation: Invitation,
    *,
    seconds: float,
    abandon: Callable[[PeerLost], None],
    beat_seconds: float = BEAT_SECONDS,
    join: Callable[[Mapping[int, socket.socket]], WorkerGroup] | None = None,
) -> Rendezvous:
    """Wait until all workers are there. `join` makes another group of them.

    Raises:
        BadInput: another worker came for something else.
        PeersMissing: not all came within so many seconds.
    """
    deadline = time.monotonic() + seconds
    side = _ChiefSide if cluster.is_chief else _WorkerSide
    connections, addresses = side(cluster, invitation, deadline, seconds).join_group()
    if join:
        return Rendezvous(join(connections), addresses, abandon)
    group = ConnectedGroup(
        connections, index=cluster.index, count=cluster.count, abandon=abandon, beat_seconds=beat_seconds
    )
    return Rendezvous(group, addresses, abandon)


class _ChiefSide:
    """The chief's side."""

    def __init__(self, cluster: Cluster, invitation: Invitation, deadline: float, seconds: float) -> None:
        self._cluster, self._invitation, self._deadline, self._seconds = cluster, invitation, deadline, seconds
        self._joined: dict[int, tuple[socket.socket, int]] = {}

    def join_group(self) -> tuple[dict[int, socket.socket], tuple[str, ...]]:
        port = self._cluster.addresses[0][1]
        with _listen(port) as listener:
            while len(self._joined) < self._cluster.count - 1:
                self._forget_who_left()
                if time.monotonic() >= self._deadline:
                    raise self._refuse_all(PeersMissing(self._missing()))
                if select.select([listener], [], [], _LOOK_SECONDS)[0]:
                    self._admit(listener.accept()[0])
        connections = {number: connection for number, (connection, _) in self._joined.items()}
        own = _plain(connections[1].getsockname()[0])
        hosts = {0: (own, port)} | {
            number: (_plain(connection.getpeername()[0]), port) for number, (connection, port) in self._joined.items()
        }
        addresses = tuple(shown(hosts[number]) for number in sorted(hosts))
        for connection in connections.values():
            with contextlib.suppress(OSError):  # whoever is gone by now is missed as a peer
                send(connection, WELCOME, json.dumps(addresses).encode())
        return connections, addresses

    def _admit(self, connection: socket.socket) -> None:
        try:
            index, port, terms = self._read_hello(connection)
        except (OSError, ValueError, KeyError, TypeError):
            connection.close()  # a stranger, such as a port scanner
            return
        self._forget_who_left()  # it may be the same worker, started anew
        if index in self._joined:
            _refuse(connection, f"TF_CONFIG task.index {index} is taken: give each process an index of its own")
        elif fault := _difference(self._invitation.terms, terms, index):
            _refuse(connection, fault)
            raise self._refuse_all(BadInput(fault))
        else:
            self._joined[index] = connection, port

    def _read_hello(self, connection: socket.socket) -> tuple[int, int, dict[str, object]]:
        """Return index, port and terms of a worker that has proved to belong here."""
        connection.settimeout(_HELLO_SECONDS)
        latest = time.monotonic() + _HELLO_SECONDS

        def in_time() -> None:
            # A stranger that sends a byte now and then would keep everybody else waiting.
            if time.monotonic() > latest:
                raise TimeoutError

        kind, content = receive(connection, MOST_BYTES_OF_A_STRANGER, alive=in_time)
        message = json.loads(content) if kind == HELLO else {}
        said, proof = str(message["hello"]), str(message["proof"])
        if not hmac.compare_digest(proof.encode(), self._invitation.proof(said).encode()):
            raise ValueError("it does not know the secret")
        hello = json.loads(said)
        return int(hello["index"]), int(hello["port"]), dict(hello["terms"])

    def _forget_who_left(self) -> None:
        for index, (connection, _) in list(self._joined.items()):
            if _is_closed(connection):
                connection.close()
                del self._joined[index]

    def _refuse_all(self, error: BadInput | PeersMissing) -> BadInput | PeersMissing:
        for connection, _ in self._joined.values():
            _refuse(connection, str(error), final=isinstance(error, BadInput))
        return error

    def _missing(self) -> str:
        absent = [
            f"{self._cluster.name(number)} ({shown(address)})"
            for number, address in enumerate(self._cluster.addresses)
            if number and number not in self._joined
        ]
        return (
            f"waited {self._seconds:g} s in vain for {', '.join(absent)}: see that each of them has been started with "
            f"the same TF_CONFIG, and can reach {shown(self._cluster.addresses[0])}"
        )


class _WorkerSide:
    """The side of all others."""

    def __init__(self, cluster: Cluster, invitation: Invitation, deadline: float, seconds: float) -> None:
        self._cluster, self._invitation, self._deadline, self._seconds = cluster, invitation, deadline, seconds
        self._trouble = "it has not answered"

    def join_group(self) -> tuple[dict[int, socket.socket], tuple[str, ...]]:
        chief = self._cluster.addresses[0]
        while time.monotonic() < self._deadline:
            if connection := self._call(chief):
                with contextlib.ExitStack() as unless_welcome:
                    unless_welcome.callback(connection.close)
                    if addresses := self._wait(connection):
                        unless_welcome.pop_all()
                        return {0: connection}, addresses
            time.sleep(_LOOK_SECONDS)
        raise PeersMissing(
            f"waited {self._seconds:g} s in vain for the chief, worker 0 at {shown(chief)}: {self._trouble}. See that "
            "it has been started with the same TF_CONFIG, that its name resolves and its port is open"
        )

    def _call(self, chief: Address) -> socket.socket | None:
        try:
            port = _usable_port(self._cluster.addresses[self._cluster.index][1])
            hello = json.dumps({"index": self._cluster.index, "port": port, "terms": dict(self._invitation.terms)})
            connection = socket.create_connection(chief, timeout=_HELLO_SECONDS)
        except OSError as error:
            self._trouble = one_line(error)
            return None
        with contextlib.suppress(OSError):  # a chief that is gone again is noticed while waiting for its answer
            send(connection, HELLO, json.dumps({"hello": hello, "proof": self._invitation.proof(hello)}).encode())
        return connection

    def _wait(self, connection: socket.socket) -> tuple[str, ...] | None:
        """Return the addresses of all, or nothing where the chief is gone and has to be called anew."""
        while time.monotonic() < self._deadline + _HELLO_SECONDS:  # the chief knows best who is missing
            if not select.select([connection], [], [], _LOOK_SECONDS)[0]:
                continue
            try:
                kind, content = receive(connection)
            except OSError as error:
                self._trouble = one_line(error)
                return None
            if kind == WELCOME:
                return tuple(json.loads(content))
            if kind == REFUSED:
                refusal = json.loads(content)
                raise (BadInput if refusal["final"] else PeersMissing)(refusal["message"])
        return None


def _listen(port: int) -> socket.socket:
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=128)
    except OSError as error:
        raise PeersMissing(
            f"cannot listen on port {port}, which TF_CONFIG names for this worker: {one_line(error)}; "
            "end what uses it, or choose another port"
        ) from error


def _usable_port(wanted: int) -> int:
    """Return the port that TF_CONFIG names for this worker, or any other where that one is taken."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("", port)) as probe:
            return int(probe.getsockname()[1])
    raise OSError(f"neither port {wanted} nor any other is free")


def _refuse(connection: socket.socket, message: str, *, final: bool = True) -> None:
    with contextlib.suppress(OSError), connection:
        send(connection, REFUSED, json.dumps({"message": message, "final": final}).encode())


def _is_closed(connection: socket.socket) -> bool:
    # A worker that was welcomed by nobody has nothing to say: what can be read is the end.
    return bool(select.select([connection], [], [], 0)[0])


def _difference(ours: Mapping[str, object], theirs: Mapping[str, object], index: int) -> str | None:
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if not different:
        return None
    name = different[0]
    return (
        f"worker {index} and worker 0 were not started alike: {name} is {theirs.get(name)!r} there and "
        f"{ours.get(name)!r} here; start all workers with the same spec, TF_CONFIG and image"
    )


def _plain(host: str) -> str:
    return host.removeprefix("::ffff:")
