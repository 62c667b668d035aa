"""Training again under the same name: the token that asks for it, and what is kept of former runs."""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.forms import RERUN_PATTERN
from trainyard_api.meta import ApiModel, Time

KEPT_RUNS = 10

RerunToken = Annotated[str, Field(pattern=RERUN_PATTERN, max_length=63)]


class FormerRun(ApiModel):
    """What became of a run that another one followed."""

    run: int = Field(description="Number of the run, from 0.")
    rerun: str | None = Field(default=None, description="The token that asked for it.")
    first_attempt: int = Field(default=0, description="Number of its first attempt.")
    attempts: int = Field(default=0, description="How many attempts it took.")
    started: Time | None = Field(default=None, description="When it was started (RFC 3339).")
    ended: Time | None = Field(default=None, description="When it ended (RFC 3339).")
    outcome: Literal["Succeeded", "Failed", "Replaced"] = Field(description="How it ended.")
    reason: str | None = Field(default=None, description="Why it ended, as one CamelCase word.")
    version: int | None = Field(default=None, description="The model version that it made.")


def training_id(uid: str, run: int) -> str:
    """Return what a training is known by in its store: each run of a TrainingJob is a training of its own."""
    return f"{uid}-{run}" if run else uid
