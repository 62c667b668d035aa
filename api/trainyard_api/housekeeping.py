"""What stays in a model store, and what the operator tells a trainer about the use of it.

The operator reads no store and the trainer no API server, so the operator writes down what the cluster uses, and the
trainer removes what is in neither this document nor the spec. It removes only what is older than the document.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from trainyard_api.meta import ApiModel

USE_FILE = "store-use.json"
"""Beside the spec in the pod."""
FRESH = timedelta(minutes=30)
"""A version is removed by a document of this age at most: an older one knows nothing of who came to use it since."""
REFRESHED = timedelta(minutes=10)
"""So often the operator writes the document anew."""
MOST_TRAININGS = 10_000
"""Above it the operator writes no document: a ConfigMap has an end."""

KeptCheckpoints = Literal["OnSuccess", "Always", "Never"]


class Keep(ApiModel):
    """What stays in the store (docs/how-to/housekeeping.md)."""

    versions: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="The newest versions that stay. After a new one the trainer removes older ones, but none that a "
        "ModelService serves or names. All stay where absent.",
    )
    checkpoints: KeptCheckpoints = Field(
        default="Never",
        description="Whether the last checkpoints stay when the training has ended: after a success only, Always, or "
        "Never. They go with the TrainingJob at the latest.",
    )


class StoreUse(ApiModel):
    """Who uses what of one model in its store, as one operator sees it.

    What came to the store after `as_of` is unknown to it, and stays.
    """

    as_of: datetime = Field(description="When this was true.")
    in_use: list[int] = Field(default=[], description="Versions that a ModelService serves or names.")
    running: list[str] = Field(default=[], description="Trainings that have not ended, as their stores know them.")
    checkpoints: list[str] = Field(default=[], description="Trainings that have ended and keep their checkpoints.")
    jobs: list[str] = Field(default=[], description="The uids of all TrainingJobs of the model.")
