"""What the answers of a store mean: a mistake to correct, or an outage that may pass."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from trainyard_trainer.errors import BadInput, TrainerError, one_line
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.uri import shown


class StoreUnavailable(TrainerError):
    """A store does not answer, or fails: another try may succeed."""

    reason = "StoreUnavailable"


_DENIED = "the credentials are refused, or do not allow it"
NO_BUCKET = "there is no such bucket or container: check its name, and the endpoint"
_TLS = (
    "TLS fails: use http:// in the endpoint if the store speaks no TLS, "
    "or give its certificate authority in AWS_CA_BUNDLE (HTTP_CA_BUNDLE for http)"
)
_REGION = "the bucket is in another region, or the request was not understood: check AWS_REGION and AWS_ENDPOINT_URL"

# The first that is found in what Arrow or a store says decides.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
# https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
_MISTAKES = [
    (re.compile(pattern), text)
    for pattern, text in (
        (r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist|Bucket '[^']*' not found", NO_BUCKET),
        (
            r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN"
            r"|UNRECOGNIZED_CLIENT|InvalidAccessKeyId|SignatureDoesNotMatch|HTTP status 40[13]\b"
            r"|PERMISSION_DENIED|UNAUTHENTICATED|Authentication ?Failed|AuthorizationFailure"
            r"|AuthorizationPermissionMismatch|NoAuthenticationInformation|InvalidAuthenticationInfo",
            _DENIED,
        ),
        (r"curlCode: (60|77|83)\b|SSL routines|certificate verify failed|CERTIFICATE_VERIFY_FAILED", _TLS),
        (r"HTTP status 30[127]\b|HTTP status 400\b|PermanentRedirect|AuthorizationHeaderMalformed", _REGION),
    )
]
_OUTAGE = re.compile(
    r"AWS Error|curlCode|google::cloud::Status|Azure Error|AzureFileSystem|HTTP status|Could not connect|Timeout"
)

_NEVER = re.compile(r"[Cc]ould not (connect|resolve)|Connection refused|Name or service not known|NameResolution")


def fault(error: BaseException, where: str, access: Access | None = None) -> TrainerError | None:
    """Return what an error of a store means, or None where it is not one of a store.

    Args:
        where: What was read or written, for the message.
        access: What it was reached with, where that is known.
    """
    if isinstance(error, TrainerError):
        return error
    if isinstance(error, OSError) and (error.errno is not None or isinstance(error, FileNotFoundError)):
        return None
    said = _said(error)
    for pattern, text in _MISTAKES:
        if pattern.search(said):
            origin = f"; they come from {access.describe()}" if access and text is _DENIED else ""
            return BadInput(f"cannot use {where}: {text}{origin} ({said})")
    if _OUTAGE.search(said):
        hint = "; if that stays so, check the host and port of the URI or endpoint" if _NEVER.search(said) else ""
        return StoreUnavailable(f"{where} does not answer as it should: {said}{hint}")
    return None


@contextmanager
def explained(location: str, access: Access) -> Iterator[None]:
    """Turn whatever goes wrong with a store into an error that says what to change, or that it may pass."""
    try:
        yield
    except (OSError, pa.ArrowException, ValueError) as error:
        if found := fault(error, shown(location), access):
            raise found from error
        if "://" not in location or isinstance(error, OSError):
            raise
        raise BadInput(f"cannot open {shown(location)}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    """Return the words of an error without what differs from try to try, or should not be read."""
    text = re.sub(r"\s*\(Request ID: [^)]*\)|\s*RequestId:\S+( Time:\S+)?", "", one_line(error, 400))
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1?…", text)
