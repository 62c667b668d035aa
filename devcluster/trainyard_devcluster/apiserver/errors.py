"""Every failure as a Kubernetes `Status`, worded as the real API server words it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard_devcluster.apiserver.values import Json, Object


class ApiError(Exception):
    """A request that failed; `status` is the body of the answer."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details

    @property
    def status(self) -> Object:
        """The `Status` object to answer with."""
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = str(self)
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return status | {"code": self.code}


def printed(value: Json) -> str:
    """Return a value as it stands in a field error."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 item` and `2 items`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: the reason of its cause, the field's path and the text that follows it."""

    reason: str
    field: str
    body: str
    blocking: bool = False
    """Rules over the whole object make no sense while this one stands."""

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"

    @property
    def cause(self) -> Object:
        """This error as an entry of `details.causes`."""
        return {"reason": self.reason, "message": self.body, "field": self.field}


def required(field: str, detail: str = "") -> FieldError:
    """A field that must be set is not."""
    return FieldError("FieldValueRequired", field, f"Required value{detail and ': ' + detail}", blocking=True)


def invalid_value(field: str, value: Json, detail: str) -> FieldError:
    """A field's value breaks a rule."""
    return FieldError("FieldValueInvalid", field, f"Invalid value: {printed(value)}: {detail}")


def wrong_type(field: str, found: str, detail: str) -> FieldError:
    """A field's value has another JSON type, or format, than the schema's."""
    return FieldError("FieldValueTypeInvalid", field, f"Invalid value: {printed(found)}: {detail}", blocking=True)


def not_supported(field: str, value: Json, allowed: Iterable[Json]) -> FieldError:
    """A field's value is none of those allowed."""
    choices = ", ".join(printed(choice) for choice in allowed)
    body = f"Unsupported value: {printed(value)}: supported values: {choices}"
    return FieldError("FieldValueNotSupported", field, body, blocking=True)


def forbidden_field(field: str, detail: str) -> FieldError:
    """A field may not be set, or not changed, here."""
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def duplicate(field: str, value: Json) -> FieldError:
    """A value that must be unique appears again."""
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {printed(value)}")


def too_long(field: str, limit: int) -> FieldError:
    """A text exceeds its maximal length."""
    body = f"Too long: may not be more than {counted(limit, 'byte')}"
    return FieldError("FieldValueTooLong", field, body, blocking=True)


def too_many(field: str, count: int, limit: int) -> FieldError:
    """A list or map has more items than allowed."""
    body = f"Too many: {count}: must have at most {counted(limit, 'item')}"
    return FieldError("FieldValueTooMany", field, body, blocking=True)


def field_not_found(field: str, value: Json) -> FieldError:
    """A field names something that does not exist."""
    return FieldError("FieldValueNotFound", field, f"Not found: {printed(value)}")


def qualified(name: str, group: str) -> str:
    """Return a kind or plural with its group, as in `deployments.apps`."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str, **more: Any) -> Object:
    named = {"name": name} if name else {}
    return named | ({"group": group} if group else {}) | ({"kind": kind} if kind else {}) | more


def not_found(plural: str, group: str, name: str) -> ApiError:
    """No object of that name."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(name, group, plural))


def no_such_path() -> ApiError:
    """No resource is served at that path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """Create found an object of that name."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """The object is not in the state that the request builds upon."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(name, group, plural))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """The object breaks its schema or a rule; every broken one is listed."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [error.cause for error in errors]
    message = f'{qualified(kind, group)} "{name}" is invalid: {listed}'
    return ApiError(422, "Invalid", message, _details(name, group, kind, causes=causes))


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def wrong_name(found: str | None, wanted: str) -> ApiError:
    """The object's name is not the one in the path."""
    return bad_request(f"the name of the object ({found}) does not match the name on the URL ({wanted})")


def wrong_namespace() -> ApiError:
    """The object's namespace is not the one in the path."""
    return bad_request("the namespace of the provided object does not match the namespace sent on the request")


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    """The request is understood and not allowed."""
    subject = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(name, group, plural))


def unauthorized() -> ApiError:
    """The request carries no valid credentials."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed(what: str = "the server does not allow this method on the requested resource") -> ApiError:
    """The resource does not offer that verb."""
    return ApiError(405, "MethodNotAllowed", what, {})


def expired(message: str) -> ApiError:
    """The resource version or continue token lies before what the server remembers."""
    return ApiError(410, "Expired", message)


def too_large_resource_version(wanted: int, current: int) -> ApiError:
    """The resource version lies in the future."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def unsupported_media_type(found: str, accepted: Sequence[str]) -> ApiError:
    """The body is in a form that this request does not take."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message, {"causes": [{"message": f"got {found}"}]})


def not_acceptable(offered: Sequence[str]) -> ApiError:
    """No form that the client accepts is offered."""
    message = f"only the following media types are accepted: {', '.join(offered)}"
    return ApiError(406, "NotAcceptable", message)
