"""How a new revision of a ModelService gets its requests: all at once, or step by step."""

from pydantic import Field

from trainyard_api.meta import ApiModel, Duration, Time, rule, rules

MOST_STEPS = 20
_INDEXES = ", ".join(map(str, range(1, MOST_STEPS)))


class RolloutStep(ApiModel):
    """A share of the requests, and for how long."""

    weight: int = Field(ge=1, le=100, description="Percent of the requests that the new revision gets.")
    hold: Duration = Field(
        default="2m", description="How long the new revision keeps this share before the next step, for example 10m."
    )


class Rollout(ApiModel):
    """How a new revision takes over."""

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
