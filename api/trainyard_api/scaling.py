"""`spec.scaling`: replicas that follow the load. The names are those of autoscaling/v2, where it has one."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from trainyard_api.forms import HTTP_PATTERN, MILLISECONDS_PATTERN
from trainyard_api.meta import LABEL_KEYS, ApiModel, Duration, LabelKey, LabelValue, rule, rules
from trainyard_api.quantities import QUANTITY_PATTERN, parse_quantity

MOST_REPLICAS = 1000

METRICS = ("cpu", "memory", "requestsPerSecond", "latency", "gpuDutyCycle", "pods", "external")
"""What a metric can be of; each entry of the list names one."""

Percent = Annotated[int, Field(ge=1, le=1000)]
Milliseconds = Annotated[str, Field(pattern=MILLISECONDS_PATTERN, max_length=8)]


def _amount(value: int | str) -> int | str:
    if parse_quantity(value) <= 0:
        raise ValueError(f"expected more than 0, got {value!r}")
    return value


Amount = Annotated[
    Annotated[int, Field(ge=1, le=10**15)] | Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=32)],
    AfterValidator(_amount),
]
"""A quantity of which an average makes sense: more than nothing."""

MetricLabels = Annotated[
    dict[LabelKey, LabelValue], Field(min_length=1, max_length=16, json_schema_extra=rules(LABEL_KEYS))
]


class PodsMetric(ApiModel):
    """A metric of each pod, from `custom.metrics.k8s.io`."""

    name: str = Field(min_length=1, max_length=253, description="Its name, as the adapter of your cluster calls it.")
    match_labels: MetricLabels | None = Field(default=None, description="Labels of the series to take.")
    average: Amount = Field(description="Target for the average over the pods, for example 20 or 500m.")


class ExternalMetric(ApiModel):
    """A metric of something else, such as a queue, from `external.metrics.k8s.io`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.average) != has(self.value)", "set exactly one of average (for each replica) and value")
        )
    )
    name: str = Field(min_length=1, max_length=253, description="Its name, as the adapter of your cluster calls it.")
    match_labels: MetricLabels | None = Field(default=None, description="Labels of the series to take.")
    average: Amount | None = Field(default=None, description="Target for the metric divided by the replicas.")
    value: Amount | None = Field(default=None, description="Target for the metric itself.")


class ScalingMetric(ApiModel):
    """One metric with its target. Where there are several, the one that wants most replicas decides."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"[{', '.join(f'has(self.{name})' for name in METRICS)}].filter(named, named).size() == 1",
                f"set exactly one of {', '.join(METRICS)}; add an entry for each further metric",
            )
        )
    )
    cpu: Percent | None = Field(
        default=None, description="Percent of the CPU that the server requests. It must request some."
    )
    memory: Percent | None = Field(
        default=None, description="Percent of the memory that the server requests. It must request some."
    )
    requests_per_second: Amount | None = Field(
        default=None, description="Requests a second of each replica. Needs an adapter: docs/how-to/autoscaling.md."
    )
    latency: Milliseconds | None = Field(
        default=None,
        description="The 95th percentile of latency, for example 50ms. Needs an adapter: docs/how-to/autoscaling.md.",
    )
    gpu_duty_cycle: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Percent of the time a GPU is busy. Needs an adapter: docs/how-to/autoscaling.md."
    )
    pods: PodsMetric | None = Field(default=None, description="Any other metric of the pods.")
    external: ExternalMetric | None = Field(default=None, description="A metric of something else, such as a queue.")


class ScalingPolicy(ApiModel):
    """How much may change in some time (autoscaling/v2 HPAScalingPolicy)."""

    type: Literal["Pods", "Percent"] = Field(description="What value counts.")
    value: int = Field(ge=1, le=10000, description="Most pods, or percent of the pods, to add or remove.")
    period_seconds: int = Field(ge=1, le=1800, description="In so many seconds.")


class ScalingRules(ApiModel):
    """How fast to scale in one direction (autoscaling/v2 HPAScalingRules)."""

    stabilization_window_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="How long to remember other recommendations: up takes the least, down the most of them.",
    )
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(
        default=None, description="Which policy decides; Disabled never scales in this direction."
    )
    policies: list[ScalingPolicy] | None = Field(
        default=None, min_length=1, max_length=10, description="How much may change in some time."
    )


class ScalingBehavior(ApiModel):
    """How fast to scale, as in autoscaling/v2. What is absent has the defaults of Kubernetes."""

    scale_up: ScalingRules | None = Field(default=None, description="How fast to add replicas.")
    scale_down: ScalingRules | None = Field(default=None, description="How fast to remove replicas.")


class PrometheusQuery(ApiModel):
    """A number that Prometheus is asked for."""

    query: str = Field(min_length=1, max_length=2048, description="PromQL with a single number as its result.")
    average: Amount = Field(description="Target for the number divided by the replicas, for example 20.")


class Keda(ApiModel):
    """A ScaledObject of KEDA in place of the HorizontalPodAutoscaler."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!self.scaleToZero || size(self.queries) > 0",
                "scaleToZero needs queries that say when to start: a server that does not run reports no requests",
                ".scaleToZero",
            )
        )
    )
    prometheus: str = Field(
        pattern=HTTP_PATTERN,
        max_length=512,
        description="Address of Prometheus: http or https, host and port.",
    )
    queries: list[PrometheusQuery] = Field(
        default=[], max_length=10, description="Numbers to scale by, beside those of metrics."
    )
    scale_to_zero: bool = Field(default=False, description="Run no server while all queries say 0.")
    cooldown: Duration = Field(default="5m", description="How long all is quiet before the last replica goes.")
    fallback: int | None = Field(
        default=None,
        ge=1,
        le=MOST_REPLICAS,
        description="Replicas while Prometheus does not answer. Absent: as many as max.",
    )


class Scaling(ApiModel):
    """Replicas that follow the load: a HorizontalPodAutoscaler that lives through all revisions."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.min <= self.max", "min must be at most max", ".min"),
            rule(
                "!has(self.keda) || !self.metrics.exists(one, has(one.pods) || has(one.external))",
                "with keda write pods and external metrics as queries",
                ".metrics",
            ),
            rule(
                "size(self.metrics) > 0 || (has(self.keda) && size(self.keda.queries) > 0)",
                "set at least one metric to scale by, such as cpu: 70",
                ".metrics",
            ),
        )
    )
    min: int = Field(default=1, ge=1, le=MOST_REPLICAS, description="Fewest replicas.")
    max: int = Field(ge=1, le=MOST_REPLICAS, description="Most replicas.")
    metrics: list[ScalingMetric] = Field(
        default=[], max_length=10, description="What to scale by. The metric that wants most replicas decides."
    )
    behavior: ScalingBehavior | None = Field(
        default=None, description="How fast to scale. Absent: up at once, down after five minutes."
    )
    keda: Keda | None = Field(default=None, description="Let KEDA scale, which can also stop the last replica.")


def _percent(text: str) -> str:
    if re.fullmatch("([1-9][0-9]?|100)%", text) is None:
        raise ValueError(f"expected a number of replicas, or percent such as 25%, got {text!r}")
    return text


# Of what may be a number or a text the API server does not know how long it is; so no rule may read the whole.
_PERCENT_RULE = rule(
    "type(self) == int || self >= '1' && self < ':' && self.endsWith('%')",
    "expected a number of replicas, or percent such as 25%",
)


class Disruption(ApiModel):
    """How many replicas may be taken away at once, when nodes are drained."""

    max_unavailable: (
        Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
        | Annotated[str, Field(max_length=4, json_schema_extra=rules(_PERCENT_RULE)), AfterValidator(_percent)]
    ) = Field(
        default=1,
        description="Replicas, or percent of them, that may be away: 1 or 25%. 0 would block every drain for good.",
    )


def requests(metric: str, resource: str) -> dict[str, str]:
    """Return the CEL rule that a percentage of a resource needs a server that asks for some of it."""
    asked = " || ".join(
        f"(has(self.server.resources.{amounts}) && '{resource}' in self.server.resources.{amounts})"
        for amounts in ("requests", "limits")
    )
    return rule(
        f"!has(self.scaling) || !self.scaling.metrics.exists(one, has(one.{metric})) || "
        f"(has(self.server) && has(self.server.resources) && ({asked}))",
        f"scaling by {metric} needs server.resources.requests.{resource}: percent of what?",
        ".scaling",
    )


SCALING_RULES = (requests("cpu", "cpu"), requests("memory", "memory"))
