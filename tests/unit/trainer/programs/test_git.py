"""Code at one commit of a git repository, from a real git server."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from wsgiref.simple_server import make_server

import pytest
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import MemoryRepo
from dulwich.server import DictBackend
from dulwich.web import HTTPGitApplication, WSGIRequestHandlerLogger, WSGIServerLogger

from support.certificates import write_certificate
from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_api.code import CodeGit
from trainyard_trainer.errors import BadInput
from trainyard_trainer.programs.git import fetch

PROGRAM = b"""
import keras
from sizes import UNITS

def build(data, *, rate):
    inputs = data.keras_inputs()
    vectors = keras.layers.Flatten()(keras.layers.Embedding(data.inputs["slots"].slots, 4)(inputs["slots"]))
    x = keras.layers.Concatenate()([inputs["dense_features"], vectors])
    x = keras.layers.Dense(UNITS, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy")
    return model
"""


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
    made.tree, made.parents = tree.id, [ObjectID(parent) for parent in parents]
    made.author = made.committer = b"A <a@b.c>"
    made.author_time = made.commit_time = made.author_timezone = made.commit_timezone = 0
    made.message = b"x"
    repository.object_store.add_object(made)
    repository.refs[Ref(b"refs/heads/main")] = made.id
    return bytes(made.id)


@dataclass(frozen=True)
class Server:
    url: str
    first: str
    second: str
    third: str

    def source(self, commit: str, path: str = "") -> CodeGit:
        return CodeGit.model_construct(url=self.url, commit=commit, path=path)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    repository = MemoryRepo()
    first = commit(repository, {"model.py": (0o100644, b"x = 1\n"), "pkg/net.py": (0o100755, b"y = 1\n")})
    odd = {"link": (0o120000, b"/etc/passwd"), ".git": (0o100644, b"hook"), "model.py": (0o100644, b"x = 2\n")}
    second = commit(repository, odd, first)
    files = {"models/net.py": (0o100644, PROGRAM), "models/sizes.py": (0o100644, b"UNITS = 24\n")}
    third = commit(repository, files, second)
    application = HTTPGitApplication(DictBackend({"/models": cast(Any, repository)}))
    with make_server(
        "127.0.0.1", 0, application, handler_class=WSGIRequestHandlerLogger, server_class=WSGIServerLogger
    ) as http:
        if tls:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        commits = [each.decode() for each in (first, second, third)]
        yield Server(f"{'https' if tls else 'http'}://127.0.0.1:{http.server_port}/models", *commits)
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as plain:
        yield plain


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


def test_a_function_of_a_commit_is_trained_and_the_manifest_says_which_one(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    with serving(tls) as server:
        git = {"url": server.url, "commit": server.third, "path": "models"}
        program = {"entryPoint": "net:build", "task": "binaryClassification", "hyperparameters": {"rate": 0.03}}
        spec = a_spec(table).with_program(python=program | {"source": {"git": git}}).with_fit(epochs=40)
        result = run(spec, tmp_path)
        later = run(
            spec.named("later").with_program(python=program | {"source": {"git": git | {"path": "src"}}}), tmp_path
        )

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.9
    manifest = json.loads((tmp_path / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())
    assert (manifest["code"]["git"], manifest["code"]["entryPoint"]) == (git, "net:build")
    assert (later.code, "has no folder 'src'" in later.report["message"]) == (names.EXIT_BAD_INPUT, True)
