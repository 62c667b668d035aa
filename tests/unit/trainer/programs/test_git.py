"""Code at one commit of a git repository, from a real git server."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import MemoryRepo
from dulwich.server import DictBackend
from dulwich.web import HTTPGitApplication, WSGIRequestHandlerLogger, WSGIServerLogger

from trainyard_operator.api.code import CodeGit
from trainyard_trainer.errors import BadInput
from trainyard_trainer.programs.git import fetch


def commit(repository: MemoryRepo, files: dict[str, tuple[int, bytes]], *parents: bytes) -> bytes:
    """Add a commit with these files (mode and content) to branch main; returns its name."""
    tree = Tree()
    folders: dict[str, Tree] = {}
    for path, (mode, content) in files.items():
        blob = Blob.from_string(content)
        repository.object_store.add_object(blob)
        folder, _, name = path.rpartition("/")
        (folders.setdefault(folder, Tree()) if folder else tree).add(name.encode(), mode, blob.id)
    for name, each in folders.items():
        repository.object_store.add_object(each)
        tree.add(name.encode(), 0o040000, each.id)
    repository.object_store.add_object(tree)
    made = Commit()
    made.tree, made.parents = tree.id, list(parents)
    made.author = made.committer = b"A <a@b.c>"
    made.author_time = made.commit_time = made.author_timezone = made.commit_timezone = 0
    made.message = b"x"
    repository.object_store.add_object(made)
    repository.refs[b"refs/heads/main"] = made.id
    return bytes(made.id)


@dataclass(frozen=True)
class Server:
    url: str
    first: str
    second: str

    def source(self, commit: str, path: str = "") -> CodeGit:
        return CodeGit.model_construct(url=self.url, commit=commit, path=path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    repository = MemoryRepo()
    first = commit(repository, {"model.py": (0o100644, b"x = 1\n"), "pkg/net.py": (0o100755, b"y = 1\n")})
    odd = {"link": (0o120000, b"/etc/passwd"), ".git": (0o100644, b"hook"), "model.py": (0o100644, b"x = 2\n")}
    second = commit(repository, odd, first)
    application = HTTPGitApplication(DictBackend({"/models": repository}))
    with make_server(
        "127.0.0.1", 0, application, handler_class=WSGIRequestHandlerLogger, server_class=WSGIServerLogger
    ) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield Server(f"http://127.0.0.1:{http.server_port}/models", first.decode(), second.decode())
        http.shutdown()
        thread.join()


def test_the_files_of_the_commit_are_those_and_no_later_ones(server: Server, tmp_path: Path) -> None:
    assert fetch(server.source(server.first), tmp_path) == tmp_path

    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"model.py": "x = 1\n", "pkg/net.py": "y = 1\n"}


def test_links_and_names_that_git_itself_refuses_are_left_out(server: Server, tmp_path: Path) -> None:
    fetch(server.source(server.second), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]


def test_modules_may_be_in_a_folder_of_the_repository(server: Server, tmp_path: Path) -> None:
    assert fetch(server.source(server.first, "pkg"), tmp_path) == tmp_path / "pkg"
    with pytest.raises(BadInput, match="has no folder 'src'"):
        fetch(server.source(server.first, "src"), tmp_path)


def test_a_commit_that_is_not_there_is_bad_input(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"commit {'ab' * 20} of {server.url}: the repository has no such commit"):
        fetch(server.source("ab" * 20), tmp_path)


def test_a_repository_that_is_not_there_is_bad_input(server: Server, tmp_path: Path) -> None:
    source = CodeGit.model_construct(url=server.url + "-no", commit=server.first, path="")

    with pytest.raises(BadInput, match="there is no such public repository"):
        fetch(source, tmp_path)


def test_a_server_that_does_not_answer_is_worth_another_try(tmp_path: Path, free_port: int) -> None:
    source = CodeGit.model_construct(url=f"http://127.0.0.1:{free_port}/models", commit="ab" * 20, path="")

    with pytest.raises(ConnectionError, match="cannot fetch"):
        fetch(source, tmp_path)
