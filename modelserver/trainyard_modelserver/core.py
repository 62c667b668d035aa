"""The server without its ports: configuration in, loaded models out."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Generic

from .config import ModelConfig, check_labels, read_model_config
from .errors import ServingError, invalid_argument
from .flags import Options
from .manager import Manager, Settings, T
from .source import FileSystemSource
from .states import State, StateMonitor

_log = logging.getLogger(__name__)


class Core(Generic[T]):
    """All models of one server. `load` gets name, version and path of a version."""

    def __init__(self, options: Options, load: Callable[[str, int, str], T]) -> None:
        self._options = options
        self.monitor = StateMonitor()
        settings = Settings(
            options.max_num_load_retries,
            options.load_retry_interval_micros / 1e6,
            options.num_load_threads,
            options.num_unload_threads,
        )
        self._manager = Manager(load, settings, self.monitor)
        self._source = FileSystemSource(self._manager.aspire, options.file_system_poll_wait_seconds)
        self._config_lock = threading.Lock()
        self._labels: Mapping[str, Mapping[str, int]] = {}
        self._stopped = threading.Event()

    def configure(self, models: Iterable[ModelConfig] | None) -> None:
        """Serve exactly these models; returns when every new one has a version available.

        None asks for no action. Raises ServingError where the configuration is refused or a new model failed.
        """
        with self._config_lock:
            if models is None:
                _log.info("Taking no action for empty config.")
                return
            models = tuple(models)
            # Before the models: a label that cannot be set keeps the rest from being applied.
            self._labels = self._checked_labels(models)
            _log.info("Adding/updating models.")
            watched, before = self._source.watched, self.monitor.order
            new = [model.name for model in models if model.name not in (watched or ())]
            with self._manager.initial_load(4 * cpus()) if watched is None else nullcontext():
                self._source.watch(models)
                self.monitor.wait_until_available(new, before)
            _log.info("Finished adding/updating models")

    def poll_config(self, file: str, interval: float) -> None:
        """Apply the file anew every `interval` seconds, in a thread. What is wrong with it is only logged."""

        def run() -> None:
            while not self._stopped.wait(interval):
                try:
                    self.configure(read_model_config(file))
                except ServingError as error:
                    _log.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error.message)

        threading.Thread(target=run, name="config-poll", daemon=True).start()

    @contextmanager
    def servable(self, spec: Any) -> Iterator[T]:
        """The model a ModelSpec asks for, kept loaded inside the block. Raises ServingError."""
        with self._manager.use(spec.name, self._version(spec)) as servable:
            yield servable

    def stop(self) -> None:
        """Unload everything; for tests."""
        self._stopped.set()
        self._source.stop()
        self._manager.stop()

    def _version(self, spec: Any) -> int | None:
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        match spec.WhichOneof("version_choice"):
            case "version":
                return int(spec.version.value)
            case "version_label":
                version = self._labels.get(spec.name, {}).get(spec.version_label)
                if version is None:
                    raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
                return version
        return None

    def _checked_labels(self, models: Iterable[ModelConfig]) -> dict[str, Mapping[str, int]]:
        allow = self._options.allow_version_labels_for_unavailable_models
        for model in models:
            states = self.monitor.versions(model.name)
            available = [version for version, known in states.items() if known.state is State.AVAILABLE]
            check_labels(model, self._labels.get(model.name, {}), available, allow_unavailable=allow)
        return {model.name: model.labels for model in models if model.labels}


def cpus() -> int:
    """CPUs by the affinity mask, as TensorFlow Serving counts them (a cgroup's quota does not matter)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
