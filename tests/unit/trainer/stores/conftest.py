"""What the tests of stores share."""

from collections.abc import Iterator

import pytest

from support.stores import S3, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server
