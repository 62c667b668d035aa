"""What is measured of a ModelService, from its status before and after, and from what was observed."""

from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.times import from_rfc3339
from trainyard_operator.runtime.service_metrics import OUTCOMES, Measures
from trainyard_operator.serving.situation import Situation


def measures(before: ModelServiceStatus, after: ModelServiceStatus, situation: Situation) -> Measures:
    """Return the measures of a service whose status has been written."""
    told = {(entry.uri, entry.revision, entry.outcome, entry.time) for entry in before.history}
    new = [entry for entry in after.history if (entry.uri, entry.revision, entry.outcome, entry.time) not in told]
    current, coming = after.current, after.next
    return Measures(
        wanted=situation.replicas,
        ready=current.ready if current else 0,
        rollout_started=_began(coming.revision, situation) if coming else None,
        model_timestamp=_seconds(current.trained) if current else None,
        canary_weight=after.canary.weight if after.canary else None,
        outcomes=tuple(entry.outcome for entry in new if entry.outcome in OUTCOMES),
    )


def _began(revision: str, situation: Situation) -> float:
    """Return when the Deployment of a revision was created: just now, where it has not been seen yet."""
    deployment = situation.observed.deployments.get(revision)
    began = _seconds(deployment["metadata"].get("creationTimestamp")) if deployment else None
    return situation.now.timestamp() if began is None else began


def _seconds(time: str | None) -> float | None:
    try:
        return from_rfc3339(time).timestamp() if time else None
    except ValueError:
        return None
