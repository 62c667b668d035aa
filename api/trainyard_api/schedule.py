"""When a training trains again by itself."""

from typing import Literal

from pydantic import Field

from trainyard_api.forms import CRON_PATTERN, TIME_ZONE_PATTERN
from trainyard_api.meta import ApiModel


class CronSchedule(ApiModel):
    """When a training trains again by itself, as a CronJob does."""

    cron: str = Field(
        pattern=CRON_PATTERN,
        max_length=128,
        description="Minute, hour, day of the month, month and day of the week, such as 0 3 * * MON, or @daily.",
    )
    time_zone: str = Field(
        default="Etc/UTC",
        pattern=TIME_ZONE_PATTERN,
        max_length=64,
        description="Time zone of the schedule, such as Europe/Berlin.",
    )
    concurrency_policy: Literal["Forbid", "Replace"] = Field(
        default="Forbid",
        description="What becomes of a time at which the training still trains: it is left out, or the training is "
        "stopped and begins anew.",
    )
