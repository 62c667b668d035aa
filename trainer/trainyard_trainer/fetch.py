"""`python -m trainyard_trainer.fetch`: brings a model version from S3, GCS, Azure or HDFS to its server.

The init container of a serving pod whose model is in such a store, or must be signed: this image has what it takes.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trainyard_api.names import STORE_SECRET_DIR_ENV
from trainyard_fetcher import copying
from trainyard_fetcher.copying import FetchError, Origin
from trainyard_fetcher.volume import Folder
from trainyard_trainer.errors import one_line
from trainyard_trainer.export import signing
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.origins import StoredVersion, told


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Fetch from the command line."""
    secret = env.get(STORE_SECRET_DIR_ENV)

    def find(address: str) -> Origin:
        if address.startswith("/"):
            return Folder(Path(address))
        with told():
            return StoredVersion(address, Access(env, Path(secret) if secret else None))

    return copying.command("trainyard_trainer.fetch", find, arguments, verifier=_verifier)


def _verifier(public_key: Path) -> Callable[[Path], None]:
    def verify(folder: Path) -> None:
        try:
            signing.verify(folder, public_key)
        except ValueError as error:
            raise FetchError(
                "SignatureInvalid",
                f"the version is not what the key of spec.model.verify signed: {one_line(error)}; "
                "serve another version, or name the key that signed this one",
            ) from error

    return verify


if __name__ == "__main__":
    # The first process of a container has no default reaction to SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
