"""Signed versions, verified by model-signing's own tool and by its library."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from model_signing import verifying

from support.signing_keys import private_pem, write_keys
from trainyard_api.names import SIGNATURE_FILE
from trainyard_trainer.errors import BadInput, ExportFailed
from trainyard_trainer.export.signing import check_key, sign


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / ".staging"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "trainyard.json").write_text("{}")
    return folder


def verify(folder: Path, public: Path) -> None:
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(folder, folder / SIGNATURE_FILE)


def test_a_signed_version_verifies_wherever_it_is_moved_to(version: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    sign(version, private)
    folder = version.rename(tmp_path / "7")

    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    options = ["--signature", str(folder / SIGNATURE_FILE), "--public_key", str(public)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index", "trainyard.json"])
def test_one_changed_byte_is_found_and_the_file_named(file: str, version: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    sign(version, private)
    verify(version, public)
    content = bytearray((version / file).read_bytes())
    content[0] ^= 1
    (version / file).write_bytes(content)

    with pytest.raises(ValueError, match=f"Hash mismatch for .*{file}"):
        verify(version, public)


def test_an_added_file_and_another_key_are_found(version: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    sign(version, private)
    (tmp_path / "other").mkdir()
    _, other = write_keys(tmp_path / "other")
    with pytest.raises(ValueError, match="signature"):
        verify(version, other)
    (version / "extra.so").write_bytes(b"")

    with pytest.raises(ValueError, match="Extra files found"):
        verify(version, public)


def test_signing_again_replaces_the_signature(version: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    sign(version, private)
    (version / "trainyard.json").write_text('{"version": 2}')
    sign(version, private)

    verify(version, public)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a key", id="no key"),
        pytest.param(private_pem(ec.generate_private_key(ec.SECP256K1())), id="another curve"),
        pytest.param(private_pem(rsa.generate_private_key(65537, 2048)), id="RSA"),
        pytest.param(private_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), id="with a password"),
    ],
)
def test_a_key_that_cannot_sign_is_found_before_the_training_and_never_shown(content: bytes, tmp_path: Path) -> None:
    key = tmp_path / "private.pem"
    key.write_bytes(content)

    with pytest.raises(BadInput, match="P-256, P-384 or P-521") as found:
        check_key(key)
    assert content.decode().splitlines()[-1] not in str(found.value)
    assert content.decode().splitlines()[min(1, len(content.splitlines()) - 1)] not in str(found.value)


def test_a_missing_key_is_bad_input_and_later_a_failed_export(version: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the signing key"):
        check_key(tmp_path / "none.pem")
    with pytest.raises(ExportFailed, match="could not be signed"):
        sign(version, tmp_path / "none.pem")
