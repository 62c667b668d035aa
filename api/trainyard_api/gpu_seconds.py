"""What a training has cost in GPUs."""

from pydantic import Field

from trainyard_api.meta import ApiModel


class GpuSeconds(ApiModel):
    """GPUs times seconds of all attempts that have ended, of all runs."""

    used: int = Field(default=0, description="While the trainer ran.")
    waiting: int = Field(default=0, description="From the start of a Job until its trainer ran.")
    lost: int = Field(
        default=0, description="Of those used, after the last checkpoint of an attempt that did not succeed."
    )
