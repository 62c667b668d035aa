"""The init container: what it takes, what it refuses, and its last word."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.eventually import eventually
from support.graphs import a_graph
from trainyard_fetcher import copying
from trainyard_fetcher.copying import Demands, FetchError
from trainyard_fetcher.saved_model_pb2 import NodeDef, SavedModel
from trainyard_fetcher.volume import Folder, main

FILES = {
    "saved_model.pb": a_graph("MatMul"),
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 5000,
    "assets/empty": b"",
}


def entry(path: str, content: bytes) -> dict[str, Any]:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_manifest(folder: Path, *files: dict[str, Any], **fields: Any) -> str:
    """Write the manifest and return its digest."""
    content = json.dumps({"kind": "ModelManifest", "files": list(files)} | fields).encode()
    (folder / "trainyard.json").write_bytes(content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A complete version in a store."""
    folder = tmp_path / "store" / "churn" / "3"
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    write_manifest(folder, *(entry(path, content) for path, content in FILES.items()))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "churn" / "3"


def fetch(source: Path, target: Path, *, wait: float = 0.0, **demands: Any) -> None:
    copying.fetch(Folder(source), target, Demands(**demands), wait=wait)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_arrives_complete_with_its_manifest(source: Path, target: Path) -> None:
    fetch(source, target)

    assert contents(target) == FILES | {"trainyard.json": (source / "trainyard.json").read_bytes()}
    assert [each.name for each in target.parent.iterdir()] == ["3"]


def test_what_the_manifest_does_not_list_stays_behind(source: Path, target: Path) -> None:
    (source / "notes.txt").write_text("private")

    fetch(source, target)

    assert "notes.txt" not in contents(target)


def test_a_second_run_replaces_what_the_first_one_left(source: Path, target: Path) -> None:
    (target / "variables").mkdir(parents=True)
    (target / "saved_model.pb").write_bytes(b"half")
    (target.parent / ".staging-3").mkdir()

    fetch(source, target)
    fetch(source, target)

    assert contents(target).keys() == FILES.keys() | {"trainyard.json"}
    assert [each.name for each in target.parent.iterdir()] == ["3"]


def test_the_digest_of_the_manifest_is_checked(source: Path, target: Path) -> None:
    digest = write_manifest(source, *(entry(path, content) for path, content in FILES.items()))

    fetch(source, target, digest=digest)

    assert target.is_dir()


def test_another_digest_is_refused_before_anything_is_copied(source: Path, target: Path) -> None:
    with pytest.raises(FetchError, match="expected sha256:00") as failure:
        fetch(source, target, digest="sha256:00")

    assert failure.value.reason == "DigestMismatch"
    assert not target.parent.exists()


def flip(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("damage", "reason", "said"),
    [
        (lambda folder: flip(folder / "saved_model.pb"), "CorruptModel", "saved_model.pb is not the file"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"gra"), "CorruptModel", "got 3 bytes"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"g" * 100), "CorruptModel", "got more bytes"),
        (lambda folder: (folder / "assets/empty").unlink(), "IncompleteModel", "assets/empty is missing"),
        (lambda folder: (folder / "trainyard.json").write_bytes(b"{"), "BadManifest", "is not a model manifest"),
        (lambda folder: (folder / "trainyard.json").write_bytes(b"[]"), "BadManifest", "is not a model manifest"),
        (lambda folder: (folder / "trainyard.json").write_bytes(b"[" * 100_000), "BadManifest", "is not a model"),
    ],
)
def test_a_damaged_version_never_arrives(
    source: Path, target: Path, damage: Callable[[Path], object], reason: str, said: str
) -> None:
    damage(source)

    with pytest.raises(FetchError, match=said) as failure:
        fetch(source, target)

    assert failure.value.reason == reason
    assert not target.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../4/saved_model.pb",
        "variables/../../4/x",
        "..",
        ".",
        "",
        "a\0b",
        "a\x1b[2Jb",
        "a\ud800b",
        "a" * 300,
        7,
        None,
    ],
)
def test_a_path_that_leads_out_of_the_version_is_refused(source: Path, target: Path, path: Any) -> None:
    (source.parent / "4").mkdir()
    (source.parent / "4" / "saved_model.pb").write_bytes(b"graph")
    write_manifest(source, entry("saved_model.pb", b"graph"), entry("x", b"graph") | {"path": path})

    with pytest.raises(FetchError) as failure:
        fetch(source, target)

    assert failure.value.reason == "BadManifest"
    assert not target.exists()


@pytest.mark.parametrize("name", ["link", "folder/secret"])
def test_a_link_that_leads_out_of_the_version_is_refused(source: Path, target: Path, name: str) -> None:
    outside = source.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (source / "link").symlink_to(outside / "secret")
    (source / "folder").symlink_to(outside)
    write_manifest(source, entry("saved_model.pb", FILES["saved_model.pb"]), entry(name, b"secret"))

    with pytest.raises(FetchError, match="leads out of the version"):
        fetch(source, target)


def test_a_store_behind_a_link_is_as_good_as_any(source: Path, target: Path) -> None:
    (source.parents[2] / "mounted").symlink_to(source.parents[1])

    fetch(source.parents[2] / "mounted" / "churn" / "3", target)

    assert target.is_dir()


@pytest.mark.parametrize(
    "files",
    [
        [],
        [entry("variables/variables.index", b"index")],
        [entry("saved_model.pb", b"graph"), entry("saved_model.pb", b"graph")],
        [entry("saved_model.pb", b"graph"), entry("./saved_model.pb", b"graph")],
        [entry("saved_model.pb", b"graph"), entry("trainyard.json", b"")],
        [entry("saved_model.pb", b"graph") | {"sha256": "beef"}],
        [entry("saved_model.pb", b"graph") | {"sha256": None}],
        [entry("saved_model.pb", b"graph") | {"size": "5"}],
        [entry("saved_model.pb", b"graph") | {"size": -1}],
        [entry("saved_model.pb", b"graph") | {"size": True}],
        [entry("saved_model.pb", b"graph"), entry("saved_model.pbtxt", b"graph")],
        [entry("saved_model.pb", b"graph"), entry("saved_model.cpb", b"graph")],
        [entry("saved_model.pb", b"graph"), entry("a", b""), entry("a/b", b"")],
        [{"path": "saved_model.pb"}],
        ["saved_model.pb"],
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(source: Path, target: Path, files: list[Any]) -> None:
    write_manifest(source, *files)

    with pytest.raises(FetchError) as failure:
        fetch(source, target)

    assert failure.value.reason == "BadManifest"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("churn/4", "store/churn/4 does not exist; .*store/churn has: 3$"),
        ("chrun/3", "store/chrun/3 does not exist; .*store has: churn$"),
    ],
)
def test_a_version_that_is_not_there_is_told_with_what_is(source: Path, target: Path, version: str, said: str) -> None:
    with pytest.raises(FetchError, match=said) as failure:
        fetch(source.parents[1] / version, target)

    assert failure.value.reason == "ModelNotFound"


def test_a_folder_without_manifest_is_no_version(source: Path, target: Path) -> None:
    (source / "trainyard.json").unlink()

    with pytest.raises(FetchError, match=r"has no trainyard\.json: the version is incomplete"):
        fetch(source, target)


def test_a_version_that_appears_a_little_later_is_waited_for(source: Path, target: Path) -> None:
    away = source.with_name("away")
    source.rename(away)
    timer = threading.Timer(0.1, away.rename, [source])
    timer.start()

    fetch(source, target, wait=10)

    timer.join()
    assert target.is_dir()


def run(*arguments: str, message: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | ({"TRAINYARD_TERMINATION_MESSAGE_PATH": str(message)} if message else {})
    command = [sys.executable, "-m", "trainyard_fetcher", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_says_in_one_line_what_it_did(source: Path, target: Path) -> None:
    process = run("--source", str(source), "--target", str(target))

    assert process.returncode == 0
    assert process.stdout.startswith(f"Fetched 4 files, {sum(map(len, FILES.values()))} bytes, verified")
    assert process.stderr == ""


def test_the_command_leaves_its_reason_as_the_termination_message(tmp_path: Path, target: Path) -> None:
    message = tmp_path / "message"

    process = run("--source", str(tmp_path / "none"), "--target", str(target), "--wait", "0", message=message)

    assert process.returncode == 1
    assert message.read_text().startswith("ModelNotFound: ")
    assert process.stderr == message.read_text() + "\n"


def test_a_disk_that_takes_no_more_is_an_error_like_any_other(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")

    assert main(["--source", str(source), "--target", str(tmp_path / "models" / "churn" / "3")]) == 1
    assert capsys.readouterr().err.startswith("FetchFailed: ")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc to see that the process listens")
async def test_a_pod_that_is_deleted_meanwhile_does_not_wait_for_its_model() -> None:
    arguments = ["--source", "/none", "--target", "/none", "--wait", "60"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "trainyard_fetcher", *arguments)
    caught = re.compile(r"^SigCgt:\s+[0-9a-f]*4...$", re.MULTILINE)
    await eventually(lambda: caught.search(Path(f"/proc/{process.pid}/status").read_text()))
    process.terminate()

    assert await process.wait() == 143


def test_it_starts_without_anything_heavy() -> None:
    code = "import sys, trainyard_fetcher.volume; print({'pydantic', 'kubernetes', 'grpc'} & sys.modules.keys())"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def serve_graph(source: Path, graph: bytes) -> None:
    (source / "saved_model.pb").write_bytes(graph)
    write_manifest(source, entry("saved_model.pb", graph))


@pytest.mark.parametrize(
    ("graph", "named"),
    [
        pytest.param(a_graph("ReadFile"), "ReadFile", id="an output reads a file"),
        pytest.param(a_graph("MatMul", "PyFunc"), "PyFunc", id="an output calls Python"),
        pytest.param(a_graph("MatMul", saved_model_main_op="WriteFile"), "WriteFile", id="loading writes a file"),
        pytest.param(a_graph("MatMul", legacy_init_op="ReadFile"), "ReadFile", id="loading reads a file"),
        pytest.param(a_graph("NotOfTensorFlow"), "NotOfTensorFlow", id="an operation that nobody knows"),
        pytest.param(a_graph("_Send"), "_Send", id="an operation between devices"),
    ],
)
def test_a_model_that_does_more_than_compute_is_refused_by_name(
    source: Path, target: Path, graph: bytes, named: str
) -> None:
    serve_graph(source, graph)

    with pytest.raises(FetchError, match=rf"uses {named}: .*allowAnyOperation") as failure:
        fetch(source, target)

    assert failure.value.reason == "OperationNotAllowed"
    assert not target.exists()


def test_a_model_may_do_anything_where_its_service_allows_it(source: Path, target: Path) -> None:
    serve_graph(source, a_graph("ReadFile"))

    assert main(["--source", str(source), "--target", str(target), "--allow-any-operation"]) == 0
    assert target.is_dir()


def test_what_saves_the_weights_is_in_every_model_and_does_not_count(source: Path, target: Path) -> None:
    graph = SavedModel.FromString(a_graph("MatMul"))
    graph.meta_graphs[0].graph_def.node.append(NodeDef(name="save", op="SaveV2"))
    graph.meta_graphs[0].graph_def.node.append(NodeDef(name="restore", op="RestoreV2"))
    graph.meta_graphs[0].saver_def.restore_op_name = "restore"
    serve_graph(source, graph.SerializeToString())

    fetch(source, target)

    assert target.is_dir()


def test_what_runs_while_the_weights_are_restored_counts(source: Path, target: Path) -> None:
    graph = SavedModel.FromString(a_graph("MatMul"))
    graph.meta_graphs[0].graph_def.node.append(NodeDef(name="restore", op="WriteFile"))
    graph.meta_graphs[0].saver_def.restore_op_name = "restore"
    serve_graph(source, graph.SerializeToString())

    with pytest.raises(FetchError, match="uses WriteFile"):
        fetch(source, target)


def test_a_graph_that_cannot_be_read_is_refused(source: Path, target: Path) -> None:
    serve_graph(source, b"no graph")

    with pytest.raises(FetchError, match="not a SavedModel") as failure:
        fetch(source, target)

    assert failure.value.reason == "CorruptModel"
