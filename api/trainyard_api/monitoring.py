"""`spec.monitoring`: what Prometheus reads of a ModelService, and when it alerts."""

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, Duration, rule, rules
from trainyard_api.pods import PodLabels


class Monitoring(ApiModel):
    """Objects of the Prometheus Operator for one ModelService."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.prometheusRule) || !self.prometheusRule || (has(self.podMonitor) && self.podMonitor)",
                "prometheusRule needs podMonitor: true, which gives metrics the names that its alerts use",
                ".prometheusRule",
            )
        )
    )
    pod_monitor: bool = Field(
        default=False,
        description="Let Prometheus read the servers, by a PodMonitor. Names have no colons, and labels say "
        "model_service, revision and model_version.",
    )
    prometheus_rule: bool = Field(
        default=False, description="Alert when the model is down, fails, gets old, or its rollout is stuck."
    )
    labels: PodLabels | None = Field(
        default=None, description="Labels of both objects, by which your Prometheus selects them."
    )
    objective: float = Field(
        default=99.9,
        ge=50,
        le=99.999,
        description="Percent of the requests that shall succeed. Alerts fire when the rest is used up too fast.",
    )
    rollout_deadline: Duration = Field(
        default="1h", description="A rollout that takes longer is alerted on, for example 6h."
    )
    max_model_age: int | None = Field(
        default=None, ge=1, le=10000, description="Days after its training from which a model is too old."
    )
