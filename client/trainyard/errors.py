"""What can go wrong, as exceptions. Each text says what is the matter and what to do; each type has an exit code."""

from typing import ClassVar


class TrainyardError(Exception):
    """Anything the client raises on purpose. The text is one line for a person."""

    exit_code: ClassVar[int] = 1


class Usage(TrainyardError):
    """What was asked for does not make sense: a wrong option, file, column or field. Nothing was sent."""

    exit_code = 2


class Failed(TrainyardError):
    """The training failed, or the service cannot come up; the text is the message of its condition."""

    exit_code = 3


class TimedOut(TrainyardError):
    """What was waited for did not happen in time; it may still."""

    exit_code = 4


class Unreachable(TrainyardError):
    """The API server, or what is behind it, does not answer."""

    exit_code = 5


class ClusterError(TrainyardError):
    """The API server answered with an error."""


class NotFound(ClusterError):
    """There is no such object."""

    exit_code = 6


class Forbidden(ClusterError):
    """You may not do that, or the API server does not know you."""

    exit_code = 7


class Conflict(ClusterError):
    """The name is taken, or somebody else changed the object meanwhile."""


class Refused(ClusterError):
    """The API server, or the model, does not accept what was sent."""

    exit_code = 2


EXIT_CODES = {
    0: "done",
    1: "another error",
    2: "wrong use: an option, a file, a column, a field, or a request that was refused",
    3: "the training failed, or the service cannot come up",
    4: "not done in time",
    5: "no answer from the cluster or the model",
    6: "no such object",
    7: "not allowed",
    130: "interrupted; what runs in the cluster goes on",
}
