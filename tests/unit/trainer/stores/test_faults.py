"""What stores say, and what that means: the words are those of real answers."""

import pytest

from trainyard_trainer.errors import BadInput, Diverged
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import StoreUnavailable, fault

S3 = "When listing objects under key 'd/' in bucket 'data': AWS Error {} during ListObjectsV2 operation: {}"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (S3.format("ACCESS_DENIED", "m"), BadInput, "credentials are refused, or do not allow it; they come from"),
        (S3.format("INVALID_ACCESS_KEY_ID", "m"), BadInput, "credentials are refused"),
        (S3.format("SIGNATURE_DOES_NOT_MATCH", "m"), BadInput, "credentials are refused"),
        (S3.format("NO_SUCH_BUCKET", "m (Request ID: x7)"), BadInput, "no such bucket or container"),
        (S3.format("UNKNOWN (HTTP status 301)", "PermanentRedirect"), BadInput, "check AWS_REGION"),
        (S3.format("UNKNOWN (HTTP status 400)", "AuthorizationHeaderMalformed"), BadInput, "check AWS_REGION"),
        (S3.format("NETWORK_CONNECTION", "curlCode: 60, SSL peer certificate"), BadInput, "AWS_CA_BUNDLE"),
        (
            S3.format("NETWORK_CONNECTION", "curlCode: 7, Could not connect"),
            StoreUnavailable,
            "check the host",
        ),
        (
            S3.format("NETWORK_CONNECTION", "curlCode: 6, Could not resolve"),
            StoreUnavailable,
            "check the host",
        ),
        (S3.format("NETWORK_CONNECTION", "curlCode: 28, Timeout was reached"), StoreUnavailable, "curlCode: 28"),
        (S3.format("SLOW_DOWN", "m"), StoreUnavailable, "SLOW_DOWN"),
        ("google::cloud::Status(UNAVAILABLE: try later)", StoreUnavailable, "try later"),
        ("google::cloud::Status(PERMISSION_DENIED: no)", BadInput, "credentials are refused"),
        ("https://h/x: HTTP status 403", BadInput, "credentials are refused"),
        ("https://h/x: HTTP status 502", StoreUnavailable, "502"),
    ],
)
def test_an_answer_is_a_mistake_or_an_outage(said: str, kind: type[Exception], words: str) -> None:
    found = fault(OSError(said), "s3://data/d", Access({}))

    assert isinstance(found, kind)
    assert words in str(found)
    assert "Request ID" not in str(found)


def test_an_error_of_its_own_stays_what_it_is() -> None:
    error = Diverged("nan")

    assert fault(error, "x") is error


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError("Couldn't deserialize thrift"), ValueError("no")]
)
def test_what_is_not_a_stores_fault_is_left_to_others(error: Exception) -> None:
    assert fault(error, "x") is None


def test_a_signature_in_an_address_is_not_shown() -> None:
    found = fault(OSError("https://h/x.csv?X-Amz-Signature=abc: HTTP status 500"), "x")

    assert "abc" not in str(found)
    assert "https://h/x.csv?…" in str(found)
