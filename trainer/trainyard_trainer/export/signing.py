"""Signs a model version, so that whoever has the public key can tell that no byte of it was changed.

By OpenSSF's model-signing (https://github.com/sigstore/model-transparency), whose own tool verifies it: one Sigstore
bundle with the SHA-256 of every file, the manifest among them, signed with an elliptic curve key.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from trainyard_api.names import SIGNATURE_FILE
from trainyard_trainer.errors import BadInput, ExportFailed, one_line

if TYPE_CHECKING:
    from model_signing import hashing, signing

_FIX = "expected a private key of curve P-256, P-384 or P-521 as PEM, without a password"


def check_key(key: Path) -> None:
    """Find out that a key can sign before the training, not after it.

    Raises:
        BadInput: it cannot; the message says nothing of its content.
    """
    try:
        _signer(key)
    except OSError as error:
        raise BadInput(f"cannot read the signing key: {one_line(error)}; {_FIX}") from error
    # Whatever the cryptography makes of it: a certificate, a key of another kind, one with a password, no key at all.
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{key} cannot sign models: {_FIX} in output.signing.secretKeyRef") from error


def sign(folder: Path, key: Path) -> None:
    """Write the signature of all files in `folder` beside them.

    Raises:
        ExportFailed: it could not be signed.
    """
    try:
        _signer(key).set_hashing_config(_hashes()).sign(folder, folder / SIGNATURE_FILE)
    except (OSError, ValueError) as error:
        raise ExportFailed(f"the model could not be signed: {one_line(error)}") from error


def verify(folder: Path, public_key: Path) -> None:
    """Check that the signature in `folder` is of this key and of exactly the other files there.

    Raises:
        ValueError: it is not, or the key is none.
    """
    from model_signing import verifying

    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key).set_hashing_config(_hashes())
        config.verify(folder, folder / SIGNATURE_FILE)
    # What a file that is no bundle, or no key, does to the parsers of the library.
    except (OSError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(one_line(error)) from error


def _hashes() -> "hashing.Config":
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)


def _signer(key: Path) -> "signing.Config":
    from model_signing import signing  # half a second that only those who sign spend

    return signing.Config().use_elliptic_key_signer(private_key=key)
