"""Fetches one commit of a git repository, without a git program, a shell, hooks or anybody's configuration.

A commit's name is the SHA-1 of all it holds, and what was fetched is checked against it: whoever answers can send what
was asked for, or nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from trainyard_api.code import CodeGit
from trainyard_trainer.errors import BadInput, one_line

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref
    from dulwich.repo import MemoryRepo

_MOST_BYTES = 256 << 20


def fetch(source: CodeGit, folder: Path) -> Path:
    """Write the files of the commit into a folder that is there; returns the folder to import from.

    Links and submodules are left out.

    Raises:
        BadInput: there is no such repository, commit or path, or it is too large.
        OSError: the network fails.
    """
    from dulwich.client import HTTPUnauthorized  # half a second that only those who need it spend
    from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
    from urllib3.exceptions import HTTPError

    what = f"commit {source.commit} of {source.url}"
    try:
        store, tree = _download(source)
    except (HTTPError, GitProtocolError, HangupException) as error:
        raise ConnectionError(f"cannot fetch {what}: {one_line(error)}") from error
    except (NotGitRepository, HTTPUnauthorized) as error:
        raise BadInput(f"cannot fetch {what}: there is no such public repository") from error
    except KeyError as error:
        raise BadInput(f"cannot fetch {what}: the repository has no such commit") from error
    files = list(_files(store, tree))
    if sum(len(content) for _, content in files) > _MOST_BYTES:
        raise BadInput(f"the files of {source.url} are more than {_MOST_BYTES >> 20} MiB: use an image for such code")
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    root = folder / source.path
    if not root.is_dir():
        raise BadInput(f"{what} has no folder {source.path!r}")
    return root


def _download(source: CodeGit) -> "tuple[MemoryRepo, ObjectID]":
    from dulwich.client import HttpGitClient
    from dulwich.errors import GitProtocolError
    from dulwich.objects import Commit, ObjectID
    from dulwich.repo import MemoryRepo

    base, _, path = source.url.rstrip("/").rpartition("/")
    client, store, commit = HttpGitClient(base + "/"), MemoryRepo(), ObjectID(source.commit.encode())

    def only_the_commit(refs: "Mapping[Ref, ObjectID]", depth: int | None = None) -> "list[ObjectID]":
        return [commit]

    def all_refs(refs: "Mapping[Ref, ObjectID]", depth: int | None = None) -> "list[ObjectID]":
        return [ref for ref in refs.values() if ref]

    try:
        client.fetch(path, store, determine_wants=only_the_commit, depth=1)
    except GitProtocolError:
        # Older servers give away what a branch or a tag points to, and nothing else by itself.
        client.fetch(path, store, determine_wants=all_refs)
    found = store[commit]
    assert isinstance(found, Commit), "CodeGit takes the hash of a commit only"
    return store, found.tree


def _files(store: "MemoryRepo", tree: "ObjectID") -> Iterator[tuple[Path, bytes]]:
    from dulwich.index import validate_path
    from dulwich.object_store import iter_tree_contents
    from dulwich.objects import Blob

    for entry in iter_tree_contents(store.object_store, tree):
        # A tree may name `..` or `.git`: such names are not paths of files to git either.
        if S_ISREG(entry.mode) and validate_path(entry.path):
            found = store[entry.sha]
            assert isinstance(found, Blob), "git says that the entry is a file"
            yield Path(entry.path.decode()), found.data
