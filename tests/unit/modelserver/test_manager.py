"""Loading and unloading, with models that are only names."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from trainyard_modelserver.errors import Code, ServingError
from trainyard_modelserver.manager import Manager, Settings
from trainyard_modelserver.states import State, StateMonitor

SOON = 10.0


@dataclass
class FakeModel:
    path: str
    closed: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        self.closed.set()


class Shelf:
    """Loads what is there; the rest fails until it is put there."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.cursed: set[str] = set()
        self.tries: list[str] = []

    def load(self, name: str, version: int, path: str) -> FakeModel:
        self.tries.append(path)
        if path in self.broken:
            raise ServingError(Code.NOT_FOUND, f"nothing at {path}")
        if path in self.cursed:
            raise KeyError("x")
        return FakeModel(path)


class Bench:
    """A manager and what it has published, in order."""

    def __init__(self, settings: Settings) -> None:
        self.shelf = Shelf()
        self.history: list[tuple[int, State]] = []
        self.changed = threading.Condition()
        bench = self

        class Recorder(StateMonitor):
            def publish(self, name: str, version: int, state: State, error: ServingError | None = None) -> None:
                super().publish(name, version, state, error)
                with bench.changed:
                    bench.history.append((version, state))
                    bench.changed.notify_all()

        self.monitor = Recorder()
        self.manager = Manager(self.shelf.load, settings, self.monitor)

    def aspire(self, *versions: int) -> None:
        self.manager.aspire("m", {version: f"/m/{version}" for version in versions})

    def wait(self, version: int, state: State, times: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.history.count((version, state)) >= times, SOON), self.history

    def served(self, version: int | None = None) -> str:
        with self.manager.use("m", version) as model:
            return model.path


@pytest.fixture
def start() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**settings: float) -> Bench:
        benches.append(Bench(Settings(**{"retries": 0, "retry_interval": 0.0, **settings})))  # type: ignore[arg-type]
        return benches[-1]

    yield make
    for bench in benches:
        bench.manager.stop()


def test_a_version_goes_through_its_states(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    assert bench.served() == "/m/1"
    bench.aspire()
    bench.wait(1, State.END)
    assert [state for _, state in bench.history] == [
        State.START,
        State.LOADING,
        State.AVAILABLE,
        State.UNLOADING,
        State.END,
    ]
    assert bench.monitor.versions("m")[1].error is None


@pytest.mark.parametrize("threads", [0, 2])
def test_the_new_version_is_there_before_the_old_one_goes(start: Callable[..., Bench], threads: int) -> None:
    bench = start(load_threads=threads, unload_threads=threads)
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    bench.aspire(2)
    bench.wait(1, State.END)
    assert bench.history.index((2, State.AVAILABLE)) < bench.history.index((1, State.UNLOADING))
    assert bench.served() == "/m/2"


def test_a_request_without_version_gets_the_highest_loaded_one(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.aspire(1, 2)
    bench.wait(1, State.AVAILABLE)
    assert (bench.served(), bench.served(1), bench.served(2)) == ("/m/2", "/m/1", "/m/2")


@pytest.mark.parametrize(
    ("name", "version", "asked"), [("m", 9, "Specific(m, 9)"), ("x", None, "Latest(x)"), ("x", 1, "Specific(x, 1)")]
)
def test_what_is_not_loaded_is_not_found(
    start: Callable[..., Bench], name: str, version: int | None, asked: str
) -> None:
    bench = start()
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    with pytest.raises(ServingError) as raised, bench.manager.use(name, version):
        pass
    assert str(raised.value) == f"NOT_FOUND: Servable not found for request: {asked}"


def test_a_version_that_fails_leaves_the_old_one_serving_and_keeps_its_error(start: Callable[..., Bench]) -> None:
    bench = start(retries=2)
    bench.shelf.broken.add("/m/2")
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    bench.aspire(2)
    bench.wait(2, State.END)
    assert bench.served() == "/m/1"
    assert bench.shelf.tries.count("/m/2") == 3
    assert str(bench.monitor.versions("m")[2].error) == "NOT_FOUND: nothing at /m/2"
    # It is not tried again, however often it is aspired to ...
    bench.shelf.broken.clear()
    bench.aspire(2)
    bench.aspire(2, 3)
    bench.wait(3, State.AVAILABLE)
    assert bench.shelf.tries.count("/m/2") == 3
    # ... until it has left the aspired versions and returns.
    bench.aspire(3)
    bench.aspire(4)
    bench.wait(4, State.AVAILABLE)
    bench.aspire(2, 4)
    bench.wait(2, State.AVAILABLE)


def test_a_retry_ends_when_the_version_is_not_wanted_any_more(start: Callable[..., Bench]) -> None:
    bench = start(retries=5, retry_interval=3600.0, load_threads=1)
    bench.shelf.broken.add("/m/1")
    bench.aspire(1)
    bench.wait(1, State.LOADING)
    bench.aspire()
    bench.wait(1, State.END)
    assert bench.shelf.tries == ["/m/1"]


def test_a_version_stays_loaded_while_a_request_is_in_it(start: Callable[..., Bench]) -> None:
    bench = start(unload_threads=1)
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    with bench.manager.use("m", None) as model:
        bench.aspire(2)
        bench.wait(1, State.UNLOADING)
        assert bench.served() == "/m/2"
        assert not model.closed.is_set()
        assert (1, State.END) not in bench.history
    bench.wait(1, State.END)
    assert model.closed.is_set()


def test_what_serves_goes_on_when_the_broken_version_after_it_is_deleted(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    bench.shelf.broken.add("/m/2")
    bench.aspire(2)
    bench.wait(2, State.END)

    bench.aspire(1)
    bench.manager.aspire("other", {9: "/other/9"})
    bench.wait(9, State.AVAILABLE)

    assert (1, State.UNLOADING) not in bench.history
    assert bench.served() == "/m/1"

    bench.aspire(3)
    bench.wait(1, State.END)
    assert bench.served() == "/m/3"


def test_a_version_wanted_again_while_it_goes_is_loaded_afresh(start: Callable[..., Bench]) -> None:
    bench = start(unload_threads=1)
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    with bench.manager.use("m", None):
        bench.aspire()
        bench.wait(1, State.UNLOADING)
        bench.aspire(1)
    bench.wait(1, State.AVAILABLE, times=2)
    assert bench.served() == "/m/1"


def test_a_loader_that_raises_anything_ends_only_its_version(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.shelf.cursed.add("/m/1")
    bench.aspire(1)
    bench.wait(1, State.END)
    assert str(bench.monitor.versions("m")[1].error) == "UNKNOWN: KeyError: 'x'"


def test_waiting_for_models_tells_which_failed_and_why(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.shelf.broken.add("/m/1")
    bench.aspire(1)
    with pytest.raises(ServingError) as raised:
        bench.monitor.wait_until_available(["m"])
    assert str(raised.value) == (
        "UNKNOWN: 1 servable(s) did not become available: {{{name: m version: 1} due to error: "
        "NOT_FOUND: nothing at /m/1}, }"
    )


def test_waiting_does_not_take_old_news_for_new(start: Callable[..., Bench]) -> None:
    bench = start()
    bench.aspire(1)
    bench.wait(1, State.AVAILABLE)
    bench.aspire()
    bench.wait(1, State.END)
    before = bench.monitor.order
    bench.aspire(1)
    bench.monitor.wait_until_available(["m"], before)
    assert bench.served() == "/m/1"
