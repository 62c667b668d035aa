"""From watch events to keys: which objects have to be reconciled because something happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard_api import modelservice, trainingjob
from trainyard_api.names import JOB_LABEL, SERVICE_LABEL
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key

Manifest = Mapping[str, Any]
_OWNERS = {JOB_LABEL: trainingjob.KIND, SERVICE_LABEL: modelservice.KIND}


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of a resource: little, since there may be thousands."""

    fingerprint: int
    settled: bool
    phase: str
    offers: tuple[frozenset[tuple[str, str]], str] | None
    wants: frozenset[tuple[str, str]] | None


class Router:
    """Adds keys to the queue. Events that change nothing to act on, above all our own status writes, add none."""

    def __init__(self, queue: WorkQueue, metrics: Metrics) -> None:
        self._queue = queue
        self._metrics = metrics
        self._known: dict[Key, _Known] = {}

    def parent(self, manifest: Manifest, *, gone: bool = False) -> None:
        """A TrainingJob or ModelService was seen, changed or deleted."""
        key = key_of(manifest)
        before, now = self._known.get(key), None if gone else _summary(manifest)
        self._remember(key, now)
        if now is None:
            self._queue.discard(key)
        if before is None or now is None or before.fingerprint != now.fingerprint:
            self._queue.add(key, routine=now is not None and now.settled)
        if (before and before.offers) != (now and now.offers):
            self._tell_services(key.namespace, before, now)

    def child(self, manifest: Manifest) -> None:
        """A child was changed or deleted."""
        for key in owners_of(manifest):
            self._queue.add(key)

    def _remember(self, key: Key, now: _Known | None) -> None:
        before = self._known.pop(key, None)
        if now is not None:
            self._known[key] = now
        for known, change in ((before, -1), (now, 1)):
            if known is not None:
                self._metrics.objects.labels(key.kind, known.phase).inc(change)

    def _tell_services(self, namespace: str, *offering: _Known | None) -> None:
        """Wake the ModelServices that select a TrainingJob whose model or labels changed."""
        labels = [known.offers[0] for known in offering if known and known.offers]
        for key, known in self._known.items():
            if (
                key.namespace == namespace
                and known.wants
                and any(known.wants <= known_labels for known_labels in labels)
            ):
                self._queue.add(key)


def key_of(manifest: Manifest) -> Key:
    """Return the key of a resource."""
    return Key(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def owners_of(child: Manifest) -> list[Key]:
    """Return the keys of the resources that a child says it belongs to."""
    metadata = child["metadata"]
    labels = metadata.get("labels") or {}
    return [Key(kind, metadata["namespace"], labels[label]) for label, kind in _OWNERS.items() if labels.get(label)]


def _summary(manifest: Manifest) -> _Known:
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    labels = frozenset(metadata.get("labels", {}).items())
    model = status.get("model") or {}
    selector = ((manifest.get("spec", {}).get("model") or {}).get("fromTraining") or {}).get("selector") or {}
    return _Known(
        # The generation changes with the spec only; labels decide who selects whom.
        fingerprint=hash((metadata.get("uid"), metadata.get("generation"), labels, metadata.get("deletionTimestamp"))),
        # Reconciled before, as it is now: nobody waits for the next time.
        settled=status.get("observedGeneration") == metadata.get("generation") and "deletionTimestamp" not in metadata,
        phase=str(status.get("phase", "")),
        offers=(labels, f"{model.get('uri')} {model.get('digest')}") if model else None,
        wants=frozenset(selector.get("matchLabels", {}).items()) or None,
    )
