"""What remains of a failed training when its pods are gone."""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.meta import ApiModel

TAIL_LINES = 20
LINE_LENGTH = 400
"""Characters of a line: a longer one is cut in its middle."""

FailureClass = Literal[
    "ApplicationError",
    "OutOfMemory",
    "Diverged",
    "BadData",
    "InvalidSpec",
    "Preempted",
    "NodeLost",
    "ImagePull",
    "Unschedulable",
    "NotStarted",
    "Stalled",
    "DeadlineExceeded",
]
"""Kinds of failures, for whoever counts them or acts on them. Reasons are many, and programs have their own."""


class Failure(ApiModel):
    """Why the training failed; kept when the pods are gone."""

    reason: str = Field(description="One CamelCase word.")
    reason_class: FailureClass = Field(default="ApplicationError", description="The kind of failure.")
    message: str = Field(description="What went wrong and what to change.")
    attempt: int = Field(default=0, description="The attempt that failed.")
    exit_code: int | None = Field(default=None, description="Exit code of the trainer.")
    node: str | None = Field(default=None, description="Node it ran on.")
    role: str | None = Field(default=None, description="Role of the pod that failed.")
    index: int | None = Field(default=None, description="Of several workers, the one that failed.")
    log_tail: list[Annotated[str, Field(max_length=LINE_LENGTH)]] = Field(
        default=[], max_length=TAIL_LINES, description="Last lines of its log, 2 kB at most, without what looks secret."
    )
