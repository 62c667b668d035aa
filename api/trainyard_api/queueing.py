"""What other controllers are told of a training's children: queues, schedulers, policies."""

from typing import Annotated

from pydantic import Field

from trainyard_api.meta import (
    ANNOTATION_KEYS,
    CONFINEMENT_ANNOTATIONS,
    LABEL_KEYS,
    AnnotationKey,
    ApiModel,
    LabelKey,
    LabelValue,
    Name,
    rule,
    rules,
)

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""By it Kueue knows the Jobs that it starts (https://kueue.sigs.k8s.io/docs/tasks/run/jobs)."""

_RESERVED = "^([-.A-Za-z0-9]*[-.])?(kubernetes[.]io|k8s[.]io|trainyard[.]dev)/"
_ALLOWED = (
    "^(app[.]kubernetes[.]io/(created-by|instance|part-of|version)"
    "|cluster-autoscaler[.]kubernetes[.]io/safe-to-evict"
    "|kueue[.]x-k8s[.]io/(priority-class|pod-group-[-a-z]+|podset-[-a-z]+)"
    "|scheduling[.]k8s[.]io/group-name)$"
)
_OURS = rule(
    f"self.all(key, !key.matches('{_RESERVED}') || key.matches('{_ALLOWED}'))",
    "keys of kubernetes.io, k8s.io and trainyard.dev are set by Kubernetes and the operator, but for "
    "app.kubernetes.io/part-of, instance, version and created-by, kueue.x-k8s.io/priority-class and few others: use a "
    "domain of your own, and runPolicy.queueName for a queue",
)

QueueName = Annotated[Name, Field(max_length=63)]


class ChildMetadata(ApiModel):
    """Labels and annotations of everything that is made for a resource. Those of the operator cannot be changed."""

    labels: dict[LabelKey, LabelValue] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra=rules(LABEL_KEYS, _OURS),
        description="Labels of all children and pods, for example for cost centres and policies.",
    )
    annotations: dict[AnnotationKey, Annotated[str, Field(max_length=4096)]] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra=rules(ANNOTATION_KEYS, CONFINEMENT_ANNOTATIONS, _OURS),
        description="Annotations of all children and pods.",
    )
