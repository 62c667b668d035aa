"""What keeps a resource from being as its spec wants it: one vocabulary of reasons for both kinds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainyard_operator.cluster.children import Leftover, NameTaken
from trainyard_operator.cluster.errors import ApiError, Forbidden, Invalid
from trainyard_operator.workloads.text import clean

logger = logging.getLogger(__name__)

INVALID_NAME, INVALID_SPEC = "InvalidName", "InvalidSpec"
NAME_TAKEN, REJECTED, WAITING_FOR_CLEANUP = "NameTaken", "Rejected", "WaitingForCleanup"
STORE_NOT_FOUND = "StoreNotFound"
UNSCHEDULABLE = "Unschedulable"
IMAGE_PULL_FAILED = "ImagePullFailed"
PODS_NOT_CREATED = "PodsNotCreated"
WAITING_FOR_VOLUMES = "WaitingForVolumes"


class Unbuildable(ApiError):
    """Nothing can be made of the spec, although the API server took it."""


REFUSALS = (NameTaken, Invalid, Forbidden, Unbuildable)
"""Errors that end in the status: trying again at once does not help."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A word for programs, and a sentence with what to change for people.

    Attributes:
        transient: It may go away by itself: nobody has to be alarmed.
    """

    reason: str
    message: str
    transient: bool = False


def of_refusal(error: ApiError, consumer: str) -> Blocker:
    """Return one of `REFUSALS` as a blocker; `consumer` is what needs the child, for example `the job`."""
    if isinstance(error, Leftover):
        return Blocker(WAITING_FOR_CLEANUP, str(error), transient=True)
    if isinstance(error, Unbuildable):
        return Blocker(INVALID_SPEC, str(error))
    if isinstance(error, NameTaken):
        return Blocker(NAME_TAKEN, str(error))
    return Blocker(REJECTED, f"the API server rejects what {consumer} needs: {clean(str(error))}")


@contextmanager
def spec_errors() -> Iterator[None]:
    """Turn whatever goes wrong while children are built into `Unbuildable`.

    A spec that somebody wrote must never cost more than its own object: raised on, the error would be logged and tried
    again for ever, and nobody would learn of it from the status.
    """
    try:
        yield
    except Exception as error:
        logger.exception("Nothing can be made of a spec")
        raise Unbuildable(f"nothing can be made of the spec: {clean(str(error)) or type(error).__name__}") from error
