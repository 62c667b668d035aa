"""The library, on a cluster in memory."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.client_cluster import (
    NAMESPACE,
    MemoryCluster,
    a_failure,
    a_model,
    a_pod_of,
    a_ready_service,
    a_training,
)
from trainyard import AsyncClient, Client, Failed, NotFound, Refused, TimedOut, Unreachable, Usage
from trainyard.cluster import Manifest, Reply
from trainyard.errors import ClusterError

CSV = "rowid,island,bill,species\n" + "".join(f"{n},{'ab'[n % 2]},{n % 7},{'xyz'[n % 3]}\n" for n in range(1, 61))


@pytest.fixture
def cluster() -> MemoryCluster:
    found = MemoryCluster()
    found.put({"kind": "PersistentVolumeClaim", "metadata": {"name": "models"}})
    return found


@pytest.fixture
def client(cluster: MemoryCluster) -> Client:
    return Client(cluster=cluster)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Penguins 2024.csv"
    path.write_text(CSV)
    return path


def created(cluster: MemoryCluster, plural: str) -> list[Manifest]:
    return [manifest for verb, kind, manifest in cluster.sent if (verb, kind) == ("create", plural)]


def test_dates_that_are_kept_are_declared(client: Client, cluster: MemoryCluster, tmp_path: Path) -> None:
    table = tmp_path / "sales.csv"
    table.write_text(
        "sold,size,y\n" + "".join(f"2026-01-{n % 28 + 1:02},{n * 7 % 13},{'ab'[n % 2]}\n" for n in range(60))
    )

    client.train(table, label="y", keep=["sold"])

    (sent,) = created(cluster, "trainingjobs")
    assert sent["spec"]["data"]["columns"] == {"sold": "date"}


@pytest.mark.parametrize(
    ("asked", "family"),
    [
        pytest.param({}, "auto", id="nothing"),
        pytest.param({"gpus": 1}, "auto", id="a GPU"),
        pytest.param({"fit": {"time_limit": "5m"}}, "auto", id="the time"),
        pytest.param({"fit": {"class_weights": {"balanced": True}}}, "auto", id="balanced classes"),
        pytest.param({"fit": {"epochs": 7}}, "mlp", id="epochs"),
        pytest.param({"program": {"keras": {"hidden": [8]}}}, "mlp", id="layers"),
        pytest.param({"roles": {"worker": {"replicas": 2}}}, "mlp", id="several pods"),
        pytest.param({"fit": {"epochs": 7}, "family": "linear"}, "linear", id="a family"),
    ],
)
def test_several_families_are_tried_unless_a_network_is_asked_for(
    client: Client, cluster: MemoryCluster, file: Path, asked: dict[str, Any], family: str
) -> None:
    client.train(file, label="species", **asked)

    (sent,) = created(cluster, "trainingjobs")
    assert sent["spec"]["program"]["keras"]["family"] == family
    assert ("stopWhen" in sent["spec"].get("fit", {})) == (family != "auto")


def test_training_on_a_file_sends_the_data_and_a_job_that_reads_it(
    client: Client, cluster: MemoryCluster, file: Path
) -> None:
    job = client.train(file, label="species", gpus=2, fit={"epochs": 7})

    (config_map,) = created(cluster, "configmaps")
    (sent,) = created(cluster, "trainingjobs")
    assert job.name == "penguins-2024-1"
    assert config_map["data"] == {"Penguins-2024.csv": CSV}
    spec = sent["spec"]
    assert spec["data"] == {
        "source": {"configMap": {"name": config_map["metadata"]["name"], "key": "Penguins-2024.csv"}},
        "label": "species",
        "features": ["island", "bill"],
    }
    assert spec["program"] == {"keras": {"family": "mlp", "task": "multiclassClassification"}}
    assert spec["fit"]["epochs"] == 7
    assert spec["fit"]["stopWhen"]["noImprovement"]["metric"] == "val_loss"
    assert spec["roles"] == {"worker": {"gpus": 2}}
    assert spec["output"] == {"store": {"persistentVolumeClaim": {"claimName": "models"}}}
    assert sent["metadata"]["labels"] == {"model": "penguins-2024"}


def test_the_data_goes_with_the_last_job_that_reads_it(client: Client, cluster: MemoryCluster, file: Path) -> None:
    first, second = client.train(file, label="species"), client.train(file, label="species")

    assert (first.name, second.name) == ("penguins-2024-1", "penguins-2024-2")
    assert len(created(cluster, "configmaps")) == 1
    owners = [
        change["metadata"]["ownerReferences"][0]["uid"]
        for verb, kind, change in cluster.sent
        if (verb, kind) == ("patch", "configmaps")
    ]
    assert owners == [first.uid, second.uid]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"label": "speces"}, "did you mean 'species'?", id="no such label"),
        pytest.param({}, "which column is to be predicted?", id="no label"),
        pytest.param({"label": "species", "fit": {"epoch": 3}}, "did you mean 'epochs'?", id="no such field"),
        pytest.param({"label": "species", "store": "modles"}, "there is no claim modles", id="no such store"),
        pytest.param({"label": "species", "name": "My Job"}, "write 'my-job'", id="a name that cannot be"),
    ],
)
def test_what_makes_no_sense_is_refused_and_no_job_is_sent(
    client: Client, cluster: MemoryCluster, file: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(Usage) as refused:
        client.train(file, **arguments)

    assert said in str(refused.value)
    assert created(cluster, "trainingjobs") == []


def test_a_name_that_is_taken_is_refused(client: Client, cluster: MemoryCluster, file: Path) -> None:
    cluster.put(a_training("mine"))

    with pytest.raises(Usage, match="a TrainingJob mine is there already"):
        client.train(file, label="species", name="mine")


def test_the_store_is_made_where_there_is_none_and_a_class_to_make_it_of(cluster: MemoryCluster, file: Path) -> None:
    cluster.objects.clear()
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    cluster.put({"kind": "StorageClass", "metadata": {"name": "fast", "annotations": annotations}})
    cluster.objects["storageclasses", NAMESPACE, "fast"] = cluster.objects.pop(("storageclasss", NAMESPACE, "fast"))

    Client(cluster=cluster).train(file, label="species")

    assert [claim["metadata"]["name"] for claim in created(cluster, "persistentvolumeclaims")] == ["models"]


def test_without_a_store_and_a_class_the_message_says_what_to_name(cluster: MemoryCluster, file: Path) -> None:
    cluster.objects.clear()

    with pytest.raises(Usage, match="no default StorageClass to make one of: name a claim or a URI"):
        Client(cluster=cluster).train(file, label="species")


def test_a_large_file_for_an_object_store_says_how_to_bring_it_there(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("a,b\n" + "1,x\n2,y\n" * 130_000)

    with pytest.raises(Usage, match=r"1\.0 MB, more than a ConfigMap takes, and the store is no claim"):
        client.train(path, label="b", store="s3://bucket/models")


def test_data_that_only_the_cluster_can_read_needs_its_task(client: Client, cluster: MemoryCluster) -> None:
    with pytest.raises(Usage, match="say what to predict with --task"):
        client.train("s3://lake/churn/", label="churned")

    job = client.train("s3://lake/churn/", label="churned", task="binaryClassification")

    assert job.name == "churn-1"
    assert created(cluster, "trainingjobs")[0]["spec"]["data"]["source"] == {"uri": "s3://lake/churn/"}


def test_a_manifest_is_sent_as_it_is(client: Client, cluster: MemoryCluster, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps({key: value for key, value in a_training("own").items() if key != "status"}))

    assert client.train(str(path)).name == "own"
    assert created(cluster, "configmaps") == []


def test_waiting_ends_when_the_training_has_succeeded(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))
    cluster.changes["penguins-1"] = [cluster.put(a_training())]
    cluster.put(a_training(phase="Running"))

    job = client.job("penguins-1").wait()

    assert job.phase == "Succeeded"
    assert job.metrics == {"loss": 0.0401, "val_accuracy": 0.9706, "val_loss": 0.09}


def test_waiting_for_a_training_that_fails_raises_the_message_of_its_condition(
    client: Client, cluster: MemoryCluster
) -> None:
    cluster.put(a_failure())

    with pytest.raises(Failed, match="training penguins-2 failed: BadInput: the label 'speces' is not a column"):
        client.job("penguins-2").wait()


def test_waiting_too_long_says_that_the_training_goes_on(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))

    with pytest.raises(TimedOut, match="it goes on: trainyard watch penguins-1"):
        client.job("penguins-1").wait(timeout=5)


def test_waiting_for_a_training_that_is_deleted_ends(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))
    cluster.changes["penguins-1"] = [None]

    with pytest.raises(NotFound, match="TrainingJob penguins-1 was deleted"):
        client.job("penguins-1").wait()


def test_a_name_that_is_not_there_is_answered_with_the_nearest(client: Client, cluster: MemoryCluster) -> None:
    with pytest.raises(NotFound, match="there is none yet"):
        client.job("penguins-1")
    cluster.put(a_training())

    with pytest.raises(NotFound, match="namespace team has no training pengiuns-1; did you mean 'penguins-1'"):
        client.job("pengiuns-1")


def test_the_history_is_read_from_the_logs_of_all_attempts(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))
    for attempt, epochs in enumerate(([1, 2], [2, 3])):
        pod = cluster.put(a_pod_of("penguins-1", attempt))
        lines = [json.dumps({"event": "epoch", "message": "", "epoch": n, "loss": n + attempt}) for n in epochs]
        cluster.logs[pod["metadata"]["name"]] = ["starting", *lines]

    history = client.job("penguins-1").read_history()

    assert history.series("loss") == [(1, 1.0), (2, 3.0), (3, 4.0)]
    assert history.best("loss") == (1, 1.0)


def test_the_log_of_a_training_with_parameter_servers_is_that_of_its_chief(
    client: Client, cluster: MemoryCluster
) -> None:
    training = a_training(phase="Running")
    training["spec"]["roles"] = {"ps": {"replicas": 1}}
    cluster.put(training)
    for role in ("ps", "chief", "worker"):
        pod = a_pod_of("penguins-1")
        pod["metadata"]["name"] = f"penguins-1-{role}-0-0"
        pod["metadata"]["labels"]["trainyard.dev/role"] = role
        cluster.put(pod)
        cluster.logs[pod["metadata"]["name"]] = [f"I am {role}"]

    assert list(client.job("penguins-1").logs()) == ["I am chief"]


def test_suspending_and_resuming_change_one_field(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))

    client.job("penguins-1").suspend().resume()

    assert [change for _, _, change in cluster.sent] == [
        {"spec": {"runPolicy": {"suspend": suspend}}} for suspend in (True, False)
    ]


def test_what_has_ended_cannot_be_suspended(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training())

    with pytest.raises(Usage, match="has ended"):
        client.job("penguins-1").suspend()


def test_training_again_takes_the_next_number_and_the_changes(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training("penguins-4", spec={"runPolicy": {"suspend": True, "maxRestarts": 0}}))

    made = client.job("penguins-4").rerun(settings=["fit.epochs=3"])

    assert made.name == "penguins-5"
    assert made.manifest["spec"]["fit"] == {"epochs": 3}
    assert made.manifest["spec"]["runPolicy"] == {"maxRestarts": 0}
    assert made.manifest["metadata"]["labels"] == {"model": "penguins"}


@pytest.mark.parametrize(
    ("labels", "pin", "model"),
    [
        pytest.param(
            {"model": "penguins"},
            False,
            {"fromTraining": {"selector": {"matchLabels": {"model": "penguins"}}}},
            id="follow the newest",
        ),
        pytest.param({"model": "penguins"}, True, {"uri": "pvc://models/penguins/1"}, id="pinned"),
        pytest.param({}, False, {"uri": "pvc://models/penguins/1"}, id="without a label"),
    ],
)
def test_deploying_makes_a_service(
    client: Client, cluster: MemoryCluster, labels: dict[str, str], pin: bool, model: Manifest
) -> None:
    cluster.put(a_training(labels=labels))

    service = client.deploy("penguins-1", replicas=2, pin=pin)

    assert (service.name, service.manifest["spec"]) == ("penguins", {"model": model, "replicas": 2})


def test_deploying_again_changes_the_service_that_is_there(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training("penguins-2", model=a_model(2)))
    cluster.put(a_ready_service())

    service = client.deploy("penguins-2", pin=True)

    assert service.manifest["spec"] == {"model": {"uri": "pvc://models/penguins/2"}, "replicas": 1}


def test_another_models_service_is_left_alone(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training("cats-1", labels={"model": "cats"}))
    cluster.put(a_ready_service())
    cluster.objects["modelservices", NAMESPACE, "penguins"]["status"]["current"]["uri"] = "pvc://models/dogs/1"

    with pytest.raises(Usage, match="service penguins serves another model"):
        client.deploy("cats-1", "penguins")


def test_a_training_without_a_model_cannot_be_deployed(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_failure("penguins-1"))

    with pytest.raises(Usage, match="penguins-1 has no model: it is Failed"):
        client.deploy("penguins-1")


def answering(predictions: list[Any] | None = None, error: str = "") -> Any:
    """A model server with two inputs."""

    def answer(method: str, path: str, body: bytes | None, query: Mapping[str, str]) -> Reply:
        if path.endswith("/metadata"):
            inputs = {"island": {"dtype": "DT_STRING"}, "bill": {"dtype": "DT_FLOAT"}}
            shaped = {name: each | {"tensor_shape": {"dim": [{"size": "-1"}]}} for name, each in inputs.items()}
            signature = {"serving_default": {"inputs": shaped, "outputs": {"label": {}, "probability": {}}}}
            document = {"model_spec": {"version": "1"}, "metadata": {"signature_def": {"signature_def": signature}}}
            return Reply(200, json.dumps(document).encode())
        if error:
            return Reply(400, json.dumps({"error": error}).encode())
        instances = json.loads(body or b"")["instances"]
        said = predictions or [{"probability": 0.9, "label": instance["island"] or "?"} for instance in instances]
        return Reply(200, json.dumps({"predictions": said}).encode())

    return answer


def test_rows_are_predicted_as_they_came(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()
    service = client.service("penguins")

    one = service.predict({"island": "Dream", "bill": 39})
    several = service.predict([{"island": "a", "bill": "1.5"}, {"bill": None}])

    assert one == {"label": "Dream", "probability": 0.9}
    assert list(one) == ["label", "probability"]
    assert [each["label"] for each in several] == ["a", "?"]


def test_a_data_frame_is_answered_by_one_with_the_same_index(client: Client, cluster: MemoryCluster) -> None:
    class Frame:
        def __init__(self, rows: Any, index: Any = None) -> None:
            self.rows, self.index = rows, index

        def to_dict(self, how: str) -> Any:
            return self.rows

    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()

    found = client.service("penguins").predict(Frame([{"island": "a"}], index=[7]))

    assert isinstance(found, Frame)
    assert (found.index, found.rows[0]["label"]) == ([7], "a")


@pytest.mark.parametrize(
    ("rows", "kind", "said"),
    [
        pytest.param([], Usage, "there is no row", id="no rows"),
        pytest.param({"colour": "red"}, Usage, "has none of the columns of model penguins", id="other columns"),
        pytest.param({"island": "x", "bil": 3}, Usage, "no column 'bil'; did you mean 'bill'?", id="a typing error"),
        pytest.param({"bill": "long"}, Usage, "row 1: bill expects a number, got 'long'", id="a text for a number"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    client: Client, cluster: MemoryCluster, rows: Any, kind: type[Exception], said: str
) -> None:
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()

    with pytest.raises(kind, match=said.replace("?", r"\?")):
        client.service("penguins").predict(rows)


def test_what_the_model_says_is_wrong_is_the_exception(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering(error="input bill:\n too long")

    with pytest.raises(Refused, match="model penguins refuses the request: input bill: too long"):
        client.service("penguins").predict({"bill": 1})


def test_a_service_that_does_not_answer_says_why_it_is_not_ready(client: Client, cluster: MemoryCluster) -> None:
    degraded = {
        "type": "Ready", "status": "False", "reason": "OOMKilled", "message": "needs more than 1Gi",
        "lastTransitionTime": "2026-11-30T10:00:00Z",
    }  # fmt: skip
    cluster.put(a_ready_service(phase="Degraded", conditions=[degraded]))

    with pytest.raises(Unreachable, match="service penguins does not answer: OOMKilled: needs more than 1Gi"):
        client.service("penguins").predict({"bill": 1})


def test_the_example_is_the_first_row_of_the_data(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training())
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()
    data = {"penguins.csv": "island,bill,species\nDream,39.1,Adelie\n"}
    cluster.put({"kind": "ConfigMap", "metadata": {"name": "penguins-data"}, "data": data})

    assert client.service("penguins").example() == {"bill": 39.1, "island": "Dream"}

    del cluster.objects["configmaps", NAMESPACE, "penguins-data"]
    assert client.service("penguins").example() == {"bill": 0.0, "island": ""}


def test_waiting_for_a_service_that_is_stuck_raises_its_reason(client: Client, cluster: MemoryCluster) -> None:
    conditions = [
        {"type": kind, "status": status, "reason": "StoreNotFound", "message": "no claim x", "lastTransitionTime": "t"}
        for kind, status in (("Ready", "False"), ("Stalled", "True"))
    ]
    cluster.put(a_ready_service(phase="Degraded", conditions=conditions))

    with pytest.raises(Failed, match="service penguins cannot come up: StoreNotFound: no claim x"):
        client.service("penguins").wait()


def test_a_status_about_an_older_spec_is_not_ready(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_ready_service())
    cluster.objects["modelservices", NAMESPACE, "penguins"]["metadata"]["generation"] = 2

    assert not client.service("penguins").is_ready


def test_trainings_are_compared_by_what_differs(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training("penguins-1"))
    cluster.put(a_training("penguins-2", spec={"fit": {"epochs": 3}}, model=a_model(2, val_accuracy="0.5")))

    rows = client.compare("penguins-*")

    assert rows == [
        {"name": "penguins-1", "state": "Succeeded", "fit.epochs": 200} | client.job("penguins-1").metrics,
        {
            "name": "penguins-2",
            "state": "Succeeded",
            "fit.epochs": 3,
            "val_accuracy": 0.5,
            "loss": None,
            "val_loss": None,
        },
    ]


def test_a_pattern_that_fits_nothing_is_an_error(client: Client) -> None:
    with pytest.raises(NotFound, match="no training cats"):
        client.compare("cats-*")


def test_an_unknown_field_in_a_status_is_no_error(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(newField={"of": "a newer operator"}))

    assert client.job("penguins-1").status.model is not None


def test_the_async_twin_does_the_same(cluster: MemoryCluster, file: Path) -> None:
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()

    async def story() -> tuple[str, Any]:
        client = AsyncClient(cluster=cluster)
        job = await client.train(file, "species")
        cluster.put(a_training(job.name))
        await job.wait()
        service = await client.service("penguins")
        return job.name, await service.predict({"island": "a"})

    name, answer = asyncio.run(story())

    assert (name, answer["label"]) == ("penguins-2024-1", "a")


def test_creating_either_kind_returns_its_object(client: Client) -> None:
    job = client.create({key: value for key, value in a_training().items() if key != "status"})
    service = client.create({key: value for key, value in a_ready_service().items() if key != "status"})

    assert (repr(job), repr(service)) == ("<Job penguins-1: Pending>", "<Service penguins: Pending>")


def test_logs_of_a_training_without_pods_say_why(client: Client, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Pending"))

    with pytest.raises(ClusterError, match="penguins-1 has no pod: it is Pending"):
        list(client.job("penguins-1").logs())
