"""Credentials and addresses of a store: from the files of a mounted Secret, and from the environment beside them."""

from collections.abc import Mapping
from pathlib import Path

from trainyard_trainer.errors import BadInput, listed, one_line

_MOST_BYTES = 1 << 20
"""A Secret holds no more than this."""


class Access:
    """What a store may be reached with, by the names its own tools use (AWS_ACCESS_KEY_ID, ...).

    Nothing of it is ever shown but the names.
    """

    def __init__(self, env: Mapping[str, str], secret: Path | None = None) -> None:
        """Take the environment and, over it, the files of a folder: one file a key, as Kubernetes mounts a Secret.

        Raises:
            BadInput: the folder cannot be read.
        """
        self._env, self._secret, self._keys = env, secret, _read(secret) if secret else {}

    def get(self, *names: str) -> str | None:
        """Return the value of the first of several names that is set: those of the Secret go first."""
        for source in (self._keys, self._env):
            for name in names:
                if source.get(name):
                    return source[name]
        return None

    def file(self, name: str) -> str | None:
        """Return the path of a file: in a Secret the key holds its content, in the environment its path."""
        if self._secret is not None and self._keys.get(name):
            return str(self._secret / name)
        return self._env.get(name) or None

    def describe(self) -> str:
        """Say where the credentials come from, for messages."""
        if self._secret is None:
            return "the environment (no secretRef is set)"
        return f"the Secret of secretRef, which has the keys {listed(sorted(self._keys)) or '(none)'}"


def _read(folder: Path) -> dict[str, str]:
    try:
        # Kubernetes keeps the files in folders named ..<something> and links to them.
        files = [path for path in folder.iterdir() if not path.name.startswith("..") and path.is_file()]
        return {path.name: path.read_bytes()[:_MOST_BYTES].decode(errors="replace").strip() for path in files}
    except OSError as error:
        raise BadInput(f"cannot read the credentials in {folder}: {one_line(error)}") from error
