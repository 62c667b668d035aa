"""Loads and unloads versions until what is loaded is what is aspired to; hands out loaded ones to requests."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, Protocol, TypeVar

from .errors import ServingError, from_tensorflow, not_found
from .states import State, StateMonitor, servable_id
from .transition import SETTLED, Load, Stage, Unload, VersionStage, next_step

_log = logging.getLogger(__name__)


class Servable(Protocol):
    """A loaded version."""

    def close(self) -> None:
        """Free what it holds."""


T = TypeVar("T", bound=Servable)
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Settings:
    """How loads are tried and where they run."""

    retries: int = 5
    retry_interval: float = 60.0
    """Seconds between tries of one version."""
    load_threads: int = 0
    unload_threads: int = 0
    """0: in the manager's own thread, so that a slow or retried load holds up everything else."""


class Loaded(Generic[T]):
    """A loaded version and the number of requests in it."""

    def __init__(self, servable: T) -> None:
        self.servable = servable
        self._users = 0
        self._closing = False
        self._idle = threading.Condition()

    def enter(self) -> bool:
        """Count a request in; False where the version is on its way out."""
        with self._idle:
            if self._closing:
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        """Count a request out."""
        with self._idle:
            self._users -= 1
            if self._closing and not self._users:
                self._idle.notify_all()

    def close(self) -> None:
        """Take no more requests, wait for those inside, free the version."""
        with self._idle:
            self._closing = True
            self._idle.wait_for(lambda: not self._users)
        self.servable.close()


@dataclass(slots=True)
class _Managed(Generic[T]):
    version: int
    path: str
    stage: Stage = Stage.NEW
    aspired: bool = True
    cancelled: threading.Event = field(default_factory=threading.Event)
    loaded: Loaded[T] | None = None


class Manager(Generic[T]):
    """The versions of all models. `load` gets name, version and path, and raises ServingError."""

    def __init__(self, load: Callable[[str, int, str], T], settings: Settings, monitor: StateMonitor) -> None:
        self._load = load
        self._settings = settings
        self._monitor = monitor
        self._models: dict[str, dict[int, _Managed[T]]] = {}
        self._pending: dict[str, Mapping[int, str]] = {}
        # Replaced, never changed: requests read it without a lock. The highest version comes first.
        self._serving: Mapping[str, Mapping[int, Loaded[T]]] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._load_pool = _pool(settings.load_threads, "load")
        self._unload_pool = _pool(settings.unload_threads, "unload")
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)
        self._thread.start()

    def aspire(self, name: str, paths: Mapping[int, str]) -> None:
        """Set the versions a model should have, by their paths; nothing means that all are to go."""
        with self._changed:
            self._pending[name] = dict(paths)
            self._changed.notify_all()

    @contextmanager
    def initial_load(self, threads: int) -> Iterator[None]:
        """Load in this many threads meanwhile, whatever the settings say."""
        initial = _pool(threads, "initial-load")
        pool, self._load_pool = self._load_pool, initial
        try:
            yield
        finally:
            self._load_pool = pool
            if initial:
                initial.shutdown(wait=False)

    @contextmanager
    def use(self, name: str, version: int | None) -> Iterator[T]:
        """The loaded version, or the highest where none is named; it stays loaded inside the block.

        Raises ServingError (NOT_FOUND) where it is not loaded.
        """
        while True:
            versions = self._serving.get(name)
            loaded = None
            if versions:
                loaded = next(iter(versions.values())) if version is None else versions.get(version)
            if loaded is None:
                asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise not_found(f"Servable not found for request: {asked}")
            if loaded.enter():
                break
        try:
            yield loaded.servable
        finally:
            loaded.leave()

    def stop(self) -> None:
        """Unload everything at once. For tests; a process just ends."""
        with self._changed:
            self._stopped = True
            for managed in self._all():
                managed.cancelled.set()
            self._changed.notify_all()
        self._thread.join()
        for pool in (self._load_pool, self._unload_pool):
            if pool:
                pool.shutdown()
        for managed in self._all():
            if managed.loaded:
                managed.loaded.close()

    def _all(self) -> list[_Managed[T]]:
        return [managed for versions in self._models.values() for managed in versions.values()]

    def _run(self) -> None:
        while True:
            with self._changed:
                step = None if self._stopped else self._next()
                if step is None:
                    if self._stopped:
                        return
                    self._changed.wait()
                    continue
            name, managed, action = step
            if action is Stage.LOADING:
                _submit(self._load_pool, self._load_version, name, managed)
            else:
                _submit(self._unload_pool, self._unload_version, name, managed)

    def _next(self) -> tuple[str, _Managed[T], Stage] | None:
        """Forget, take over what is aspired to, pick a step (unloads before loads) and mark it as begun."""
        self._forget()
        for name in list(self._pending):
            self._take_over(name)
        loads = []
        for name, versions in self._models.items():
            match next_step(
                VersionStage(managed.version, managed.stage, managed.aspired) for managed in versions.values()
            ):
                case Unload(version):
                    versions[version].stage = Stage.UNLOADING
                    return name, versions[version], Stage.UNLOADING
                case Load(version):
                    loads.append((name, versions[version]))
        if not loads:
            return None
        name, managed = loads[0]
        managed.stage = Stage.LOADING
        return name, managed, Stage.LOADING

    def _forget(self) -> None:
        for versions in self._models.values():
            for managed in list(versions.values()):
                if not managed.aspired and managed.stage in SETTLED:
                    del versions[managed.version]

    def _take_over(self, name: str) -> None:
        versions, paths = self._models.setdefault(name, {}), self._pending[name]
        if any(version in paths and not managed.aspired for version, managed in versions.items()):
            # It is wanted again while it is still going: first it must be gone, then it starts afresh. Nothing changes
            # until then, so that one that serves in place of a broken version serves on when that is deleted.
            return
        for version, managed in versions.items():
            if version not in paths and managed.aspired:
                managed.aspired = False
                managed.cancelled.set()
        self._forget()
        del self._pending[name]
        for version, path in paths.items():
            if version not in versions:
                versions[version] = _Managed(version, path)
                self._monitor.publish(name, version, State.START)

    def _load_version(self, name: str, managed: _Managed[T]) -> None:
        self._monitor.publish(name, managed.version, State.LOADING)
        error = None
        for attempt in range(self._settings.retries + 1):
            if attempt:
                managed.cancelled.wait(self._settings.retry_interval)
                if managed.cancelled.is_set():
                    break
                _log.info("Retrying of loading %s retry: %d", servable_id(name, managed.version), attempt)
            try:
                managed.loaded = Loaded(self._load(name, managed.version, managed.path))
            except Exception as failure:  # Whatever a model does to its loader, the other models go on.
                error = failure if isinstance(failure, ServingError) else from_tensorflow(failure)
                _log.error("Loading servable: %s failed: %s", servable_id(name, managed.version), error)
            else:
                self._settle(name, managed, Stage.READY, State.AVAILABLE)
                _log.info("Successfully loaded servable version %s", servable_id(name, managed.version))
                return
        self._settle(name, managed, Stage.ERROR, State.END, error)

    def _unload_version(self, name: str, managed: _Managed[T]) -> None:
        self._monitor.publish(name, managed.version, State.UNLOADING)
        loaded, managed.loaded = managed.loaded, None
        with self._changed:
            self._publish_serving()
        try:
            if loaded:
                loaded.close()
        except Exception:  # What cannot be freed is lost; the other models go on.
            _log.exception("Unloading %s failed", servable_id(name, managed.version))
        self._settle(name, managed, Stage.DISABLED, State.END)
        _log.info("Done unloading servable version %s", servable_id(name, managed.version))

    def _settle(
        self, name: str, managed: _Managed[T], stage: Stage, state: State, error: ServingError | None = None
    ) -> None:
        with self._changed:
            managed.stage = stage
            self._publish_serving()
            # In this order: whoever sees AVAILABLE in a status gets an answer.
            self._monitor.publish(name, managed.version, state, error)
            self._changed.notify_all()

    def _publish_serving(self) -> None:
        self._serving = {
            name: {
                version: loaded
                for version, managed in sorted(versions.items(), reverse=True)
                if managed.stage is Stage.READY and (loaded := managed.loaded)
            }
            for name, versions in self._models.items()
        }


def _pool(threads: int, name: str) -> ThreadPoolExecutor | None:
    return ThreadPoolExecutor(threads, thread_name_prefix=name) if threads > 0 else None


def _submit(pool: ThreadPoolExecutor | None, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    if pool:
        pool.submit(call, *args, **kwargs)
    else:
        call(*args, **kwargs)
