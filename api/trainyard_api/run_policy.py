"""How a training is run: what it may cost in tries and in time."""

from typing import Literal

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, Duration, rule, rules
from trainyard_api.queueing import QueueName
from trainyard_api.rerun import RerunToken
from trainyard_api.schedule import CronSchedule

SHORTEST_STALL = 30
"""Seconds: the operator asks a trainer every 10 s, and a shorter silence says nothing."""


class RunPolicy(ApiModel):
    """How a training is run."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.stallTimeout) || duration(self.stallTimeout) >= duration('{SHORTEST_STALL}s')",
                f"stallTimeout must be {SHORTEST_STALL}s or longer: the operator asks the trainer every 10 s",
                ".stallTimeout",
            ),
        )
    )
    suspend: bool = Field(default=False, description="Stop the pods, or do not start them, until set back to false.")
    queue_name: QueueName | None = Field(
        default=None,
        description="LocalQueue of Kueue in the same namespace: the training starts when the queue admits it "
        "(docs/how-to/kueue.md). At once where absent.",
    )
    max_restarts: int = Field(
        default=3, ge=0, le=100, description="Restarts after a failure of the program. Disruptions are not charged."
    )
    max_disruptions: int = Field(
        default=20,
        ge=-1,
        le=100,
        description="Stops from outside, such as preemptions, in a row without a checkpoint that got further; -1 for "
        "any number.",
    )
    startup_timeout: Duration | None = Field(
        default=None,
        description="Longest time until all pods of an attempt run, for example 15m. Then the attempt ends, its pods "
        "and GPUs are free, and a restart is charged. No limit where absent.",
    )
    stall_timeout: Duration | None = Field(
        default=None,
        description="Longest time without a new step while the trainer trains, for example 30m. Then the attempt "
        "ends, a restart is charged, and the next goes on from the checkpoint. No limit where absent.",
    )
    attempt_deadline: Duration | None = Field(
        default=None,
        description="Longest run of one attempt, for example 12h. Then the attempt ends, a restart is charged, and "
        "the next goes on from the checkpoint. No limit where absent.",
    )
    active_deadline: Duration | None = Field(
        default=None,
        description="Longest time of the whole training, with all restarts and the pauses between them, for example "
        "24h. Then it fails. The time begins anew when a suspended training is resumed. No limit where absent.",
    )
    clean_pods: Literal["Running", "All", "None"] = Field(
        default="Running",
        description="Which pods go when the training has ended: those that still run beside the trainer, all with "
        "their logs, or none.",
    )
    ttl_after_finished: Duration | None = Field(
        default=None,
        description="Time after the end of the training until all that was made for it is deleted, for example 24h: "
        "Jobs, pods and their logs. The TrainingJob stays as a record, and so do model versions. Never where absent.",
    )
    rerun: RerunToken | None = Field(
        default=None,
        description="A word of yours, such as a date. When you change it, the training trains again under its name "
        "once it has ended: attempts count anew, and the model gets its next version.",
    )
    schedule: CronSchedule | None = Field(
        default=None,
        description="When the training trains again by itself, under its name. The first run starts at once.",
    )
