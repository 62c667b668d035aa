"""Credentials: from a Secret's files, else from the environment, and never shown."""

from pathlib import Path

import pytest

from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores.access import Access


def a_secret(folder: Path, **keys: str) -> Path:
    """Write a Secret as Kubernetes mounts it: links to a folder that is replaced as a whole."""
    (folder / "..2026_11_24").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_11_24")
    for name, value in keys.items():
        (folder / "..2026_11_24" / name).write_text(value)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_a_secret_goes_before_the_environment(tmp_path: Path) -> None:
    secret = a_secret(tmp_path / "s", AWS_ACCESS_KEY_ID="from-secret\n", AWS_DEFAULT_REGION="eu-north-1")

    access = Access({"AWS_ACCESS_KEY_ID": "from-env", "AWS_REGION": "us-east-1", "EMPTY": ""}, secret)

    assert access.get("AWS_ACCESS_KEY_ID") == "from-secret"
    assert access.get("AWS_REGION", "AWS_DEFAULT_REGION") == "eu-north-1"
    assert access.get("EMPTY", "ABSENT") is None


def test_a_file_is_a_key_of_the_secret_or_a_path_in_the_environment(tmp_path: Path) -> None:
    secret = a_secret(tmp_path / "s", AWS_CA_BUNDLE="-----BEGIN CERTIFICATE-----")

    assert Access({"AWS_CA_BUNDLE": "/etc/ca.pem"}).file("AWS_CA_BUNDLE") == "/etc/ca.pem"
    assert Access({"AWS_CA_BUNDLE": "/etc/ca.pem"}, secret).file("AWS_CA_BUNDLE") == str(secret / "AWS_CA_BUNDLE")
    assert Access({}, secret).file("GOOGLE_APPLICATION_CREDENTIALS") is None


def test_only_names_are_shown(tmp_path: Path) -> None:
    secret = a_secret(tmp_path / "s", accesskey="AKID", secretkey="hunter2")

    access = Access({"AWS_SECRET_ACCESS_KEY": "hunter3"}, secret)

    assert access.describe() == "the Secret of secretRef, which has the keys accesskey, secretkey"
    assert "hunter" not in repr(access) + str(vars(access) and access) + access.describe()


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the credentials in"):
        Access({}, tmp_path / "absent")
