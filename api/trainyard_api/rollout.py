"""How a new revision of a ModelService gets its requests: all at once, or step by step."""

from typing import Literal

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, Duration, Time, rule, rules

MOST_STEPS = 20
_INDEXES = ", ".join(map(str, range(1, MOST_STEPS)))


class RolloutStep(ApiModel):
    """A share of the requests, and for how long."""

    weight: int = Field(ge=1, le=100, description="Percent of the requests that the new revision gets.")
    hold: Duration = Field(
        default="2m", description="How long the new revision keeps this share before the next step, for example 10m."
    )


class Analysis(ApiModel):
    """What the requests of a canary must be like, by TensorFlow Serving's metrics in the pods of both revisions."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.maxErrorRate) || has(self.maxLatencyIncrease)",
                "set at least one of maxErrorRate and maxLatencyIncrease",
            ),
            rule(
                "!has(self.interval) || duration(self.interval) >= duration('5s')",
                "make interval 5s or longer: the pods are read every 5s",
                ".interval",
            ),
        )
    )
    max_error_rate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Largest share of requests that may fail in the server, such as 0.01. A canary with a larger one, "
        "which is also larger than that of the revision that serves, is rolled back. What clients did wrong does not "
        "count.",
    )
    max_latency_increase: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="How much slower than the revision that serves the canary may answer, such as 0.5 for half as slow "
        "again.",
    )
    quantile: Literal["p95", "p99"] = Field(default="p99", description="The latency that maxLatencyIncrease is about.")
    min_requests: int = Field(
        default=50, ge=1, le=10**6, description="With fewer requests at a step there is no verdict on the canary."
    )
    interval: Duration = Field(default="10s", description="How often to look; 5s or longer.")
    on_no_traffic: Literal["Wait", "Promote"] = Field(
        default="Wait",
        description="What to do after a step with too few requests for a verdict: wait, or take the next step.",
    )


class Rollout(ApiModel):
    """How a new revision takes over."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.analysis) || size(self.steps) > 0",
                "an analysis judges steps: add steps, or remove it",
                ".analysis",
            ),
            rule(
                "!has(self.update) || self.update != 'Recreate' || self.allowUnavailable",
                "update Recreate stops the old pods first, and nothing answers then: set allowUnavailable to true",
                ".update",
            ),
            rule(
                "!has(self.update) || self.update != 'Recreate' || size(self.steps) == 0",
                "update Recreate leaves nothing to share requests with: remove steps",
                ".update",
            ),
        )
    )
    steps: list[RolloutStep] = Field(
        default=[],
        max_length=MOST_STEPS,
        json_schema_extra=rules(
            rule(
                f"[{_INDEXES}].all(i, i >= size(self) || self[i - 1].weight < self[i].weight)",
                "each step must have a larger weight than the one before: write them in ascending order",
            )
        ),
        description="Shares that the new revision gets one after the other, in ascending order; it then gets all "
        "requests. Without steps it gets all at once.",
    )
    analysis: Analysis | None = Field(
        default=None, description="What sends a canary back. Absent: only time takes it from step to step."
    )
    update: Literal["Auto", "Surge", "Recreate"] = Field(
        default="Auto",
        description="Where the new pods find room: Auto, beside the old ones, and where there is none old pods go one "
        "at a time; Surge, only beside the old ones; Recreate, the old ones go first.",
    )
    min_available: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Pods that answer at least while Auto makes room; all replicas but one where absent.",
    )
    allow_unavailable: bool = Field(
        default=False, description="Nothing may answer for a while: one replica can make room in no other way."
    )
    progress_deadline: Duration | None = Field(
        default=None,
        description="How long the pods of a step, or of a rollout without steps, may take to answer, such as 20m. The "
        "new revision is then sent back. Absent: the rollout waits, and the status says for what.",
    )


class SampleStatus(ApiModel):
    """The requests of one revision at a step, but for those that their clients did wrong."""

    requests: int = Field(description="How many.")
    errors: int = Field(description="How many of them failed in the server.")
    latency: str | None = Field(default=None, description="The quantile of their latency, such as 4.2ms.")


class AnalysisStatus(ApiModel):
    """The numbers on which a canary is judged."""

    verdict: Literal["Passed", "Failed", "NoTraffic", "Inconclusive"] = Field(description="What they amount to.")
    message: str = Field(description="Why.")
    canary: SampleStatus = Field(description="The canary's requests.")
    stable: SampleStatus = Field(description="Those of the revision that serves, in the same time.")


class RollbackStatus(ApiModel):
    """A revision that was sent back. It is not tried again until it or the rollout changes."""

    revision: str = Field(min_length=1, max_length=63, description="Suffix of its Deployment's name.")
    rollout: str = Field(max_length=63, description="Fingerprint of spec.rollout at that time.")
    time: Time = Field(max_length=40, description="When (RFC 3339).")
    message: str = Field(max_length=1000, description="Why, with the numbers that decided.")


class CanaryStatus(ApiModel):
    """The revision that is tried on a share of the requests."""

    revision: str = Field(description="Suffix of its Deployment's name.")
    model_version: int | None = Field(default=None, description="Version of the model, where known.")
    step: int = Field(description="The step it is at, from 1. After the last one it gets the full number of replicas.")
    steps: int = Field(description="How many steps there are.")
    weight: int = Field(description="Percent of the requests that the step asks for.")
    achieved: int = Field(description="Percent of the pods that answer which are its pods: the share it really gets.")
    ready: int = Field(default=0, description="Its replicas that answer.")
    replicas: int = Field(default=0, description="Its replicas wanted at this step.")
    since: Time = Field(description="When the step began (RFC 3339).")
    until: Time | None = Field(default=None, description="When its hold ends, once its replicas answer (RFC 3339).")
    analysis: AnalysisStatus | None = Field(default=None, description="The numbers on which it is judged.")
