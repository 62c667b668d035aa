"""Addresses of model versions, taken apart and put together."""

import pytest

from trainyard_api.model_uris import VersionUri


@pytest.mark.parametrize(
    ("uri", "address", "claim", "version"),
    [
        pytest.param("pvc://models/churn/3", VersionUri("models", "churn", "3"), "models", 3, id="a claim"),
        pytest.param("pvc://m/team/churn/007", VersionUri("m", "team/churn", "007"), "m", 7, id="leading zeros"),
        pytest.param("s3://lake/churn/12", VersionUri("s3://lake", "churn", "12"), None, 12, id="an object store"),
        pytest.param("hdfs://a:1/x/y/1", VersionUri("hdfs://a:1", "x/y", "1"), None, 1, id="with a port"),
    ],
)
def test_an_address_comes_apart_and_together(uri: str, address: VersionUri, claim: str | None, version: int) -> None:
    assert VersionUri.parse(uri) == address
    assert (address.claim, address.version, str(address)) == (claim, version, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "pvc://models/churn",
        "pvc://models/churn/latest",
        "pvc://models/a/../1",
        "http://a/b/1",
        "s3:///churn/1",
        "1",
    ],
)
def test_anything_else_is_told_with_what_was_expected(uri: str) -> None:
    with pytest.raises(ValueError, match="expected pvc://<claim>/<model>/<version>"):
        VersionUri.parse(uri)
