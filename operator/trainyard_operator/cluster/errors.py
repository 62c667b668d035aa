"""What can go wrong between the operator and the API server, in terms of what to do next."""


class ApiError(Exception):
    """The API server did not do what was asked.

    Attributes:
        code: HTTP status, or 0 where no answer came.
        reason: The API server's one-word reason, for example `NotFound`.
        retry_after: Seconds the server asked to wait, where it did.
    """

    def __init__(self, message: str, *, code: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.retry_after = retry_after


class NotFound(ApiError):
    """There is no such object, or no such kind (404)."""


class Conflict(ApiError):
    """The object changed, or was replaced, since it was read: read it again (409)."""


class AlreadyExists(Conflict):
    """The name is taken (409)."""


class Invalid(ApiError):
    """The API server rejects the object itself: trying again does not help (400, 422)."""


class Forbidden(ApiError):
    """The operator, or a quota or policy, does not allow it (401, 403)."""


class Unavailable(ApiError):
    """No answer, none that makes sense, too many requests or a server error: try again later (429, 5xx, time-outs)."""


class ConnectionLost(Unavailable):
    """The connection broke before the answer was complete; whether the request was carried out is not known."""


class NotLeading(ApiError):
    """Another operator may be at work: nothing was asked of the API server."""
