"""Errors as TensorFlow Serving tells them: a canonical code and a message."""

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """The canonical status codes, shared by TensorFlow and gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS: Final = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A request or a load that failed. `str()` is the status as logs show it: `NOT_FOUND: message`."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """The request is wrong whatever state the server is in."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """A model, version or file is not there."""
    return ServingError(Code.NOT_FOUND, message)


def unimplemented(message: str) -> ServingError:
    """TensorFlow Serving can do this, this server cannot."""
    return ServingError(Code.UNIMPLEMENTED, message)


def from_tensorflow(error: Exception) -> ServingError:
    """The status inside an exception of TensorFlow's runtime; UNKNOWN for any other exception."""
    code, message = getattr(error, "error_code", None), getattr(error, "message", None)
    if isinstance(code, int) and code in Code._value2member_map_ and isinstance(message, str):
        return ServingError(Code(code), message)
    return ServingError(Code.UNKNOWN, f"{type(error).__name__}: {error}")
