"""Watches the models' folders and tells the manager which versions to have."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping

from .config import ModelConfig
from .errors import ServingError, invalid_argument
from .versions import aspired

_log = logging.getLogger(__name__)

Aspire = Callable[[str, Mapping[int, str]], None]


class FileSystemSource:
    """Scans every `interval` seconds; 0 scans once, a negative interval never."""

    def __init__(self, aspire: Aspire, interval: float) -> None:
        self._aspire = aspire
        self._interval = interval
        self._models: tuple[ModelConfig, ...] | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._warned: frozenset[str] = frozenset()

    @property
    def watched(self) -> frozenset[str] | None:
        """The names of the models it watches, None before the first call of `watch`."""
        return None if self._models is None else frozenset(model.name for model in self._models)

    def watch(self, models: Iterable[ModelConfig]) -> None:
        """Watch these models; the versions of models left out are to go."""
        with self._lock:
            models = tuple(models)
            names = {model.name for model in models}
            for model in self._models or ():
                if model.name not in names:
                    self._aspire(model.name, {})
            self._models = models
        if self._thread is None and self._interval >= 0:
            self._thread = threading.Thread(target=self._run, name="file-system-source", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Scan no more."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        self._poll()
        while self._interval > 0 and not self._stopped.wait(self._interval):
            self._poll()

    def _poll(self) -> None:
        with self._lock:
            try:
                found, warnings = scan(self._models or ())
            except ServingError as error:
                _log.error("FileSystemStoragePathSource encountered a filesystem access error: %s", error.message)
                return
            for warning in warnings:
                # The original repeats them with every scan; once is enough to read.
                if warning not in self._warned:
                    _log.warning("%s", warning)
            self._warned = frozenset(warnings)
            for name, paths in found.items():
                self._aspire(name, paths)


def scan(models: Iterable[ModelConfig]) -> tuple[dict[str, dict[int, str]], list[str]]:
    """The versions and their paths by model, and warnings.

    One base path that is missing fails the whole scan (ServingError), as in TensorFlow Serving: a model whose storage
    is away for a moment must not be unloaded, and neither are the others brought up to date.
    """
    found: dict[str, dict[int, str]] = {}
    warnings: list[str] = []
    for model in models:
        try:
            names = os.listdir(model.base_path)
        except FileNotFoundError as error:
            raise invalid_argument(
                f"Could not find base path {model.base_path} for servable {model.name} with error "
                f"NOT_FOUND: {model.base_path} not found"
            ) from error
        except OSError as error:
            raise invalid_argument(f"{model.base_path}; {error.strerror}") from error
        wanted = aspired(model.name, model.base_path, names, model.policy)
        warnings.extend(wanted.warnings)
        found[model.name] = {
            version: os.path.join(model.base_path, folder) for version, folder in wanted.folders.items()
        }
    return found, warnings
