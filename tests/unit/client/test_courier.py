"""Files to and from claims: the program in the pod is the real one, served by a thread in place of the pod."""

import functools
import hashlib
import http.client
import io
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from support.client_cluster import NAMESPACE, MemoryCluster
from support.pod_security import violations
from trainyard import courier_program
from trainyard.cluster import Manifest, Reply
from trainyard.courier import PIECE, Claim, courier
from trainyard.delivery import deliver, delivery_of
from trainyard.errors import ClusterError, Failed, NotFound, Unreachable, Usage
from trainyard.models import ModelVersion
from trainyard.tables import open_table

CLAIM = Claim(NAMESPACE, "models")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def cluster(volume: Path) -> Iterator[MemoryCluster]:
    """A cluster whose couriers are served by a thread of the test."""
    found = MemoryCluster()
    handler: Any = type("Handler", (courier_program.Handler,), {"root": volume.resolve()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found.services["*"] = functools.partial(_forwarded, found, handler, server.server_port)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def _forwarded(
    cluster: MemoryCluster,
    handler: Any,
    port: int,
    method: str,
    path: str,
    body: bytes | None,
    query: Mapping[str, str],
) -> Reply:
    (job,) = [manifest for verb, kind, manifest in cluster.sent if (verb, kind) == ("create", "jobs")][-1:]
    handler.token = job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, f"/{path}?{urlencode(query)}" if query else f"/{path}", body)
        reply = connection.getresponse()
        return Reply(reply.status, reply.read())
    finally:
        connection.close()


def test_a_file_arrives_whole_and_under_its_name_only_when_complete(cluster: MemoryCluster, volume: Path) -> None:
    content = bytes(range(256)) * (PIECE // 128)
    seen: list[tuple[int, list[str]]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, [path.name for path in volume.rglob("*") if path.is_file()]))

    with courier(cluster, CLAIM) as carrier:
        digest = carrier.put(io.BytesIO(content), len(content), "data/a b.csv", progress=progress)
        assert carrier.has("data/a b.csv", digest)
        assert not carrier.has("data/other.csv", digest)

    assert (volume / "data" / "a b.csv").read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
    assert seen == [(PIECE, [".a b.csv.part"]), (2 * PIECE, [".a b.csv.part"])]


def test_a_piece_that_is_lost_on_the_way_is_sent_again(cluster: MemoryCluster, volume: Path) -> None:
    answer, lost = cluster.services["*"], iter([True, False])

    def losing(method: str, path: str, body: bytes | None, query: Mapping[str, str]) -> Reply:
        reply = answer(method, path, body, query)
        if method == "PUT" and next(lost, False):
            raise Unreachable("the answer broke off")
        return reply

    cluster.services["*"] = losing

    with courier(cluster, CLAIM) as carrier:
        carrier.put(io.BytesIO(b"once"), 4, "file")

    assert (volume / "file").read_bytes() == b"once"


def test_files_come_back_as_they_are(cluster: MemoryCluster, volume: Path, tmp_path: Path) -> None:
    content = b"0123456789" * (PIECE // 8)
    (volume / "churn").mkdir()
    (volume / "churn" / "weights").write_bytes(content)

    with courier(cluster, CLAIM) as carrier:
        assert carrier.files("churn") == [("weights", len(content))]
        digest = carrier.get("churn/weights", tmp_path / "copy", len(content))
        assert carrier.read("churn/weights") == content
        with pytest.raises(NotFound, match="claim models has no nothing"):
            carrier.read("nothing")

    assert (tmp_path / "copy").read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "wrong-token/secret", id="without the token"),
        pytest.param("GET", "TOKEN/../outside", id="out of the volume"),
        pytest.param("PUT", "TOKEN/..%2foutside", id="out of the volume, hidden"),
    ],
)
def test_nobody_else_reads_or_writes(cluster: MemoryCluster, volume: Path, method: str, path: str) -> None:
    (volume / "secret").write_text("s")
    (volume.parent / "outside").write_text("o")

    with courier(cluster, CLAIM) as carrier:
        token = carrier._token
        reply = cluster.proxy(
            NAMESPACE, "x", path.replace("TOKEN", token), method=method, body=b"" if method == "PUT" else None
        )

    assert reply.status == 403
    assert (volume.parent / "outside").read_text() == "o"


def test_nothing_of_a_courier_is_left_and_a_restricted_namespace_takes_it(cluster: MemoryCluster) -> None:
    with courier(cluster, CLAIM):
        pass

    assert [key for key in cluster.objects if key[0] == "jobs"] == []
    ((job,), (service,)) = (
        [each for verb, kind, each in cluster.sent if (verb, kind) == ("create", plural)]
        for plural in ("jobs", "services")
    )
    assert violations(job["spec"]["template"]["spec"]) == []
    assert job["spec"]["ttlSecondsAfterFinished"] == 60
    assert service["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_a_courier_that_cannot_run_says_why(cluster: MemoryCluster) -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}

    def silent(method: str, path: str, body: bytes | None, query: Mapping[str, str]) -> Reply:
        ((_, _, name),) = [key for key in cluster.objects if key[0] == "jobs"]
        pod: Manifest = {
            "kind": "Pod",
            "metadata": {"name": "p", "labels": {"job-name": name}},
            "spec": {"containers": [{"image": "trainyard/operator:9"}]},
            "status": {"containerStatuses": [waiting]},
        }
        cluster.put(pod)
        raise Unreachable("no endpoints")

    cluster.services["*"] = silent

    with (
        pytest.raises(Failed, match=r"operator:9 cannot be pulled; name one .* by --courier-image"),
        courier(cluster, CLAIM),
    ):
        pass
    assert [key for key in cluster.objects if key[0] == "jobs"] == []


def a_large_table(tmp_path: Path) -> Path:
    path = tmp_path / "large.csv"
    path.write_text("a,b\n" + "1,x\n2,y\n" * 130_000)
    return path


def test_a_file_too_large_for_a_config_map_goes_to_the_claim_once(
    cluster: MemoryCluster, volume: Path, tmp_path: Path
) -> None:
    path = a_large_table(tmp_path)
    delivery = delivery_of(open_table(path).content, "large", claim="models")

    sent = [deliver(cluster, NAMESPACE, delivery) for _ in range(2)]

    assert sent == [True, False]
    place = delivery.source["persistentVolumeClaim"]
    assert place["claimName"] == "models"
    assert (volume / place["path"]).read_bytes() == path.read_bytes()


def test_a_small_file_that_is_no_text_goes_into_a_config_map_as_bytes(cluster: MemoryCluster, tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n"))

    delivery = delivery_of(open_table(path).content, "rows", claim=None)
    deliver(cluster, NAMESPACE, delivery)

    ((_, _, config_map),) = cluster.sent
    assert set(config_map["binaryData"]) == {"rows.csv.gz"}
    assert "data" not in config_map


@pytest.fixture
def version(volume: Path) -> Path:
    """A model version, and the logs of its training."""
    folder = volume / "penguins" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "MODEL_CARD.md").write_text("# penguins\n")
    files = [
        {"path": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(), "size": 1}
        for name in ("saved_model.pb", "MODEL_CARD.md")
    ]
    (folder / "trainyard.json").write_text(json.dumps({"files": files}))
    logs = volume / "penguins" / ".training" / "uid-1" / "logs"
    logs.mkdir(parents=True)
    (logs / "history.csv").write_text("epoch,steps,seconds,loss\n1,2,0.1,0.5\n")
    return folder


def the_model(cluster: MemoryCluster, uri: str = "pvc://models/penguins/1") -> ModelVersion:
    return ModelVersion(cluster, NAMESPACE, uri)


def test_the_card_and_the_history_are_read_from_the_store(cluster: MemoryCluster, version: Path) -> None:
    assert the_model(cluster).card() == "# penguins\n"
    assert the_model(cluster).history("uid-1").startswith("epoch,")


def test_a_version_is_downloaded_and_held_to_its_digests(cluster: MemoryCluster, version: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    files = the_model(cluster).download(tmp_path / "copy", progress=lambda done, total: seen.append(done))

    assert sorted(file.name for file in files) == ["MODEL_CARD.md", "saved_model.pb", "trainyard.json"]
    assert seen == sorted(seen)
    (version / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(ClusterError, match=r"saved_model\.pb of .* is not the file that was trained"):
        the_model(cluster).download(tmp_path / "another")


def test_a_folder_with_something_in_it_is_not_written_to(cluster: MemoryCluster, version: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").touch()

    with pytest.raises(Usage, match="is not empty"):
        the_model(cluster).download(tmp_path / "copy")


def test_a_version_in_an_object_store_is_for_its_own_tools(cluster: MemoryCluster) -> None:
    with pytest.raises(Usage, match="aws s3 cp --recursive s3://bucket/m/1 FOLDER"):
        the_model(cluster, "s3://bucket/m/1").card()
