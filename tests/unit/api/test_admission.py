"""What is accepted and what is refused at apply time, with which words."""

import copy
from pathlib import Path

import pytest
import yaml

from support.custom_resources import SCHEMAS, refusals, with_defaults
from support.pages import blocks
from trainyard_api.modelservice import ModelService
from trainyard_api.trainingjob import TrainingJob

ROOT = Path(__file__).parents[3]
SAMPLES = [
    pytest.param(document, id=f"{path.relative_to(ROOT)}:{document['kind']}")
    for folder in ("examples", "manifests/samples")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if isinstance(document, dict) and document.get("kind") in SCHEMAS
] + [
    pytest.param(document, id=f"{path.relative_to(ROOT)}:{document['kind']}:{document['metadata']['name']}")
    for path in sorted((ROOT / "docs").rglob("*.md"))
    for block in blocks(path, "yaml")
    for document in yaml.safe_load_all(block)
    if isinstance(document, dict) and document.get("kind") in SCHEMAS
]


def a_training_job(**spec):
    minimal = {
        "program": {"keras": {"task": "regression"}},
        "data": {"source": {"configMap": {"name": "rows"}}, "label": "price"},
        "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
    }
    return _resource("TrainingJob", minimal | spec)


def a_model_service(**spec):
    return _resource("ModelService", {"model": {"uri": "pvc://models/churn/3"}} | spec)


def profile(**spec):
    return _resource("TrainingProfile", spec)


def scaling(**fields):
    return a_model_service(scaling={"max": 5, "metrics": [{"requestsPerSecond": 20}]} | fields)


def through(**gateway):
    return a_model_service(traffic={"gateway": {"name": "edge", "hostname": "models.example.com"} | gateway})


KEDA = {"prometheus": "http://prometheus:9090"}


def keda(**fields):
    return scaling(keda=KEDA | fields)


ASKING_FOR_CPU = {"server": {"resources": {"limits": {"cpu": 2}}}}


def server(**fields):
    return a_model_service(server=fields)


def following(**model):
    return a_model_service(model={"fromTraining": {"selector": {"matchLabels": {"model": "churn"}}}} | model)


def gated(**rule):
    service = following()
    return service | {"spec": service["spec"] | {"gate": [rule]}}


def rollout(**fields):
    return a_model_service(rollout=fields)


def _resource(kind, spec):
    return {"apiVersion": "trainyard.dev/v1alpha1", "kind": kind, "metadata": {"name": "churn"}, "spec": spec}


def worker(**fields):
    return a_training_job(roles={"worker": fields})


RANGE = {"name": "fit.optimizer.learningRate", "minValue": 0.001, "maxValue": 0.1}
TUNING = {"parameters": [{"name": "program.keras.activation", "values": ["relu", "tanh"]}]}


def tuning(**fields):
    return a_training_job(tuning=TUNING | fields)


def output(**fields):
    return a_training_job(output=a_training_job()["spec"]["output"] | fields)


def keras(**fields):
    return a_training_job(program={"keras": {"task": "binaryClassification"} | fields})


def python(source, **fields):
    program = {"entryPoint": "models.churn:build", "task": "regression", "source": source}
    return a_training_job(program={"python": program | fields})


def hashed(job):
    return job | {"spec": job["spec"] | {"data": job["spec"]["data"] | {"hashing": {"street": 1000}}}}


GIT = {"url": "https://host.example/team/models.git", "commit": "0123456789" * 4}


def data(**fields):
    return a_training_job(data=a_training_job()["spec"]["data"] | fields)


GOOD_URIS = [
    "/data/rows.csv",
    "rows.csv",
    "file:///data/rows.csv",
    "s3://lake/a b/%20c/",
    "gs://lake/churn",
    "abfss://box@account.dfs.core.windows.net/churn",
    "https://host:8443/rows.csv?version=3&download=1",
    "hdfs://ann@nameservice1/churn",
    "webhdfs://namenode:9870/churn",
]
BAD_URIS = [
    ("ftp://host/rows.csv", "expected a path, or a URI of a file or folder"),
    ("s3a://lake/churn", "expected a path, or a URI of a file or folder"),
    ("s3:///churn", "expected a path, or a URI of a file or folder"),
    ("s3://lake/../other", "remove '..'"),
    ("/data/..", "remove '..'"),
    ("s3://AKID:secret@lake/churn", "no place for credentials"),
    ("s3://AKID@lake/churn", "no place for credentials"),
    ("https://ann:hunter2@host/rows.csv", "no place for credentials"),
    ("https://t0ken@host/rows.csv", "no place for credentials"),
    ("webhdfs://ann:hunter2@host/rows", "no place for credentials"),
    ("https://host/rows.csv?X-Amz-Signature=abc", "no place for credentials"),
    ("https://host/rows.csv?a=1&sig=abc", "no place for credentials"),
    ("https://host/rows.csv?access_token=abc", "no place for credentials"),
    ("s3://lake/churn?endpoint_override=evil", "only http and https URIs have a query"),
]


def store(**fields):
    return a_training_job(output={"store": fields})


@pytest.mark.parametrize("document", SAMPLES)
def test_every_example_is_accepted(document):
    assert refusals(document) == []


@pytest.mark.parametrize(
    "resource",
    [
        a_training_job(),
        a_training_job(modelName="other", fit={"stopWhen": {"lossBelow": 0.1}}),
        a_training_job(program={"container": {"image": "me/train:1", "args": ["--fast"]}}),
        a_training_job(runPolicy={"activeDeadline": "1h30m", "suspend": True}),
        a_training_job(runPolicy={"rerun": "2026-12-01T00:00:00Z", "ttlAfterFinished": "1h", "cleanPods": "All"}),
        a_training_job(runPolicy={"schedule": {"cron": "0 3 * * MON-FRI", "timeZone": "America/New_York"}}),
        a_training_job(runPolicy={"schedule": {"cron": "@daily", "concurrencyPolicy": "Replace"}}),
        a_training_job(runPolicy={"startupTimeout": "15m", "stallTimeout": "30s", "attemptDeadline": "12h"}),
        a_training_job(runPolicy={"queueName": "gpu"}, metadata={"labels": {"kueue.x-k8s.io/priority-class": "high"}}),
        a_training_job(metadata={"annotations": {"karpenter.sh/do-not-disrupt": ""}, "labels": {"a/b": "c"}}),
        a_training_job(profile="gpu"),
        a_training_job(strategy="Single"),
        a_training_job(strategy="Mirrored", roles={"worker": {"gpus": 2}}),
        a_training_job(strategy="MultiWorkerMirrored", roles={"worker": {"replicas": 2}}),
        a_training_job(strategy="ParameterServer", roles={"ps": {}, "chief": {"resources": {"limits": {"cpu": 2}}}}),
        a_model_service(profile="gpu"),
        profile(default=True, limits={"maxGpus": 8, "maxActiveDeadline": "48h"}),
        profile(gpuPods={"runtimeClassName": "nvidia", "resources": {"limits": {"memory": "32Gi"}}}),
        worker(gpus=1, gpuProduct="NVIDIA-H200", topologyKey="topology.kubernetes.io/zone", sharedMemory="8Gi"),
        worker(template={"resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}], "schedulerName": "volcano"}),
        a_training_job(fit={"loss": "huber", "metrics": ["r2_score", "root_mean_squared_error"]}),
        tuning(algorithm="grid", parallelTrials=4),
        tuning(parameters=[{"name": "fit.epochs", "minValue": 1, "maxValue": 9, "step": 2}], algorithm="grid"),
        a_training_job(fit={"stopWhen": {"steps": 5000, "timeLimit": "2h"}}, checkpoint={"every": "5m"}),
        keras(family="textClassifier", text={"maxTokens": 5000, "layer": "globalAveragePooling1D"}),
        keras(family="textClassifier", text={"numBins": 5000, "standardize": "lower"}),
        keras(family="audioClassifier", audio={"samplingRate": 16000, "maxFreq": 8000, "filters": [8]}),
        a_training_job(fit={"batchSize": "Auto", "precision": "mixed_bfloat16", "jitCompile": True}),
        keras(family="gradientBoostedTrees", numTrees=50, maxDepth=4, shrinkage=0.05, subsample=0.8, l2=0.1),
        keras(family="randomForest", minExamples=2),
        a_training_job(privacy={"targetEpsilon": 3, "delta": 0.00001}),
        data(features=["rooms", "area"]),
        a_training_job(data={"source": {"uri": "/photos"}, "format": "directory"}),
        keras(family="cnn", image={"height": 32, "width": 48, "augment": {"flip": "horizontal", "zoom": 0.1}}),
        python({"image": "me/code:1"}, hyperparameters={"units": 8, "sizes": [1, 2], "deep": {"a": True}}),
        python({"configMap": {"name": "code"}}),
        python({"git": GIT | {"path": "src/models"}}),
        python({"image": "me/code:1"}, image={}),
        python({"image": "me/code:1"}, image={"height": 224, "width": 224, "channels": 3}),
        python({"image": "me/code:1"}, text={"numBins": 5000, "outputSequenceLength": 64}),
        python({"image": "me/code:1"}, audio={"samplingRate": 16000, "maxFreq": 8000}),
        hashed(python({"image": "me/code:1"})),
        output(signing={"secretKeyRef": {"name": "keys", "key": "private.pem"}}),
        output(reuse=True),
        data(format="tfrecord", maxBadRows=10, validation={"uri": "validation/"}),
        data(validation={"column": "split"}),
        data(format="npz", validation={"column": "split"}),
        data(format="directory", validation={"uri": "held-back"}, maxBadRows=3),
        data(hashing={"street": 1000}),
        a_training_job(program={"keras": {"task": "multilabelClassification"}}),
        data(validation={"fraction": 0}),
        data(source={"persistentVolumeClaim": {"claimName": "rows", "path": "a/b..c/d.csv"}}),
        *(data(source={"uri": uri}) for uri in GOOD_URIS),
        data(source={"uri": "s3://lake/churn/", "secretRef": {"name": "lake"}}),
        *(store(uri=uri) for uri in ("s3://models", "gs://b/p/", "abfss://box@account.dfs.core.windows.net/m")),
        store(uri="s3://models/prod", secretRef={"name": "models"}),
        worker(replicas=64),
        worker(gpus=2, resources={"requests": {"cpu": 1, "memory": "1.5Gi"}, "limits": {"memory": "2e9"}}),
        worker(template={"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
        worker(template={"affinity": {"nodeAffinity": {}}, "tolerations": [{"operator": "Exists"}]}),
        a_model_service(),
        a_model_service(model={"uri": "s3://models/prod/churn/3", "secretRef": {"name": "models"}}),
        a_model_service(model={"fromTraining": {"selector": {"matchLabels": {"model": "churn"}}}}, replicas=0),
        through(namespace="infra", sectionName="https", grpcHostname="grpc.example.com"),
        keda(queries=[{"query": "sum(depth)", "average": 5}], scaleToZero=True),
        a_model_service(disruption={"maxUnavailable": "25%"}, monitoring={"podMonitor": True, "prometheusRule": True}),
        a_model_service(traffic={"networkPolicy": True, "allowFrom": [{"podLabels": {"a": "b"}, "ports": ["rest"]}]}),
        scaling(behavior={"scaleDown": {"selectPolicy": "Disabled"}}),
        scaling(metrics=[{"cpu": 70}]) | {"spec": scaling(metrics=[{"cpu": 70}])["spec"] | ASKING_FOR_CPU},
        a_model_service(server={"template": {"labels": {"team": "a"}, "nodeSelector": {"gpu": "yes"}}}),
    ],
)
def test_good_input_is_accepted(resource):
    assert refusals(resource) == []


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (a_training_job(runPolicy={"queueName": "Gpu!"}), "expected the name of an object"),
        (a_training_job(metadata={"labels": {"trainyard.dev/role": "x"}}), "use a domain of your own"),
        (a_training_job(metadata={"labels": {"kueue.x-k8s.io/queue-name": "x"}}), "runPolicy.queueName for a queue"),
        (a_training_job(metadata={"labels": {"app.kubernetes.io/managed-by": "x"}}), "use a domain of your own"),
        (a_training_job(metadata={"annotations": {"batch.kubernetes.io/x": "x"}}), "use a domain of your own"),
        (a_training_job(strategy="Mirror"), "strategy"),
        (a_training_job(strategy="Single", roles={"worker": {"replicas": 2}}), "run in one pod"),
        (a_training_job(strategy="Single", roles={"worker": {"gpus": 2}}), "or use Mirrored"),
        (a_training_job(strategy="Single", roles={"ps": {}}), "only strategy ParameterServer, or Auto, has"),
        (a_training_job(strategy="Mirrored"), "set roles.worker.gpus to 2 or more"),
        (a_training_job(strategy="MultiWorkerMirrored"), "set roles.worker.replicas to 2 or more"),
        (a_training_job(strategy="ParameterServer"), "set roles.ps, for example {replicas: 1}"),
        (a_training_job(roles={"chief": {}}), "a chief of its own goes with parameter servers"),
        (a_training_job(roles={"evaluator": {}}), "TensorFlow 2 has no evaluator in a cluster: remove"),
        (a_training_job(roles={"evaluator": {"replicas": 1, "image": "x"}}), "The chief validates on data.validation"),
        (a_training_job(roles={"ps": {}, "worker": {"gpus": 2}}), "uses one GPU: set roles.worker.gpus to 1"),
        (a_training_job(roles={"ps": {"gpus": 1}}), "set gpus of roles.worker only"),
        (a_training_job(roles={"ps": {}, "chief": {"gpus": 1}}), "set gpus of roles.worker only"),
        (
            a_training_job(roles={"ps": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}),
            "set ps.gpus instead of the GPU resource in resources.limits",
        ),
        (a_training_job(managedBy="kueue"), "expected a domain and a path, such as kueue.x-k8s.io/multikueue"),
        (a_training_job(roles={"ps": {}}, fit={"jitCompile": True}), "remove fit.jitCompile"),
        (a_training_job(roles={"ps": {}}, fit={"precision": "mixed_float16"}), "set fit.precision to"),
        (a_training_job(roles={"ps": {}}, runPolicy={"queueName": "gpu"}), "a queue admits one Job"),
        (profile(image="a"), "unknown field .spec.image"),
        (profile(limits={"maxGpus": -1}), "-1 is less than the minimum of 0"),
        (profile(limits={"maxActiveDeadline": "0s"}), "0s"),
        (worker(gpuProduct="NVIDIA-H200"), "gpuProduct chooses among NVIDIA GPUs"),
        (worker(gpus=1, gpuResource="amd.com/gpu", gpuProduct="MI300"), "gpuProduct chooses among NVIDIA GPUs"),
        (worker(sharedMemory="0"), "one such as 512Mi or 8Gi"),
        (worker(topologyKey=""), "topologyKey"),
        (worker(template={"resourceClaims": [{"name": "gpu"}]}), "exactly one of resourceClaimName"),
        (a_training_job(epochs=3), "unknown field .spec.epochs"),
        (a_training_job(fit={"epoch": 3}), "unknown field .spec.fit.epoch"),
        (a_training_job(program={}), "set exactly one of keras, python, container and predict"),
        (python({}), "set exactly one of image, configMap and git"),
        (python({"image": "a", "git": GIT}), "set exactly one of image, configMap and git"),
        (python({"image": "a"}, image={}, text={}), "set one of image, text and audio, or none for a table"),
        (python({"image": "a"}, image={"filters": [8]}), "unknown field .spec.program.python.image.filters"),
        (python({"image": "a"}, text={"maxTokens": 9, "numBins": 9}), "set maxTokens for a vocabulary or numBins"),
        (python({"image": "a"}, audio={"maxFreq": 10}), "maxFreq must be higher than minFreq"),
        (hashed(python({"image": "a"}, text={})), "only tables have hashed columns"),
        (python({"image": "a"}, entryPoint="churn.build"), "expected a module and a function of it"),
        (python({"image": "a"}, entryPoint="churn:build; rm"), "expected a module and a function of it"),
        (python({"git": GIT | {"commit": "main"}}), "commit"),
        (python({"git": GIT | {"url": "http://host/team/models"}}), "expected the https address of a repository"),
        (
            python({"git": GIT | {"url": "https://me:secret@host/team/models"}}),
            "expected the https address of a repository",
        ),
        (python({"git": GIT | {"url": "ext::sh -c id"}}), "expected the https address of a repository"),
        (python({"git": GIT | {"url": "https://host/a?token=1"}}), "expected the https address of a repository"),
        (python({"git": GIT | {"path": "../.."}}), "remove '..'"),
        (
            a_training_job(program={"keras": {"task": "regression"}, "container": {"image": "i"}}),
            "set exactly one of keras, python, container and predict",
        ),
        (a_training_job(program={"keras": {"task": "ranking"}}), "'ranking' is not one of"),
        (a_training_job(program={"keras": {"task": "regression", "hidden": [0]}}), "0 is less than the minimum of 1"),
        (a_training_job(program={"keras": {"task": "regression", "family": "svm"}}), "svm predicts classes only"),
        (a_training_job(program={"keras": {"task": "regression", "kernel": "rbf"}}), "only family svm has a kernel"),
        (a_training_job(program={"keras": {"task": "regression", "gamma": 1}}), "only kernel rbf has a gamma"),
        (keras(family="svm", randomFeatures=64), "only kernel rbf has random features"),
        (keras(numTrees=5), "only the families gradientBoostedTrees and randomForest have numTrees"),
        (keras(family="randomForest", subsample=0.5), "only family gradientBoostedTrees has shrinkage and subsample"),
        (keras(family="randomForest", dropout=0.5), "trees have no layers"),
        (keras(family="randomForest", l2=0.5), "family randomForest has no penalty"),
        (a_training_job(privacy={}), "set exactly one of noiseMultiplier and targetEpsilon"),
        (
            a_training_job(privacy={"noiseMultiplier": 1}, program={"container": {"image": "i"}}),
            "only the families linear, mlp, svm can be trained privately",
        ),
        (
            a_training_job(privacy={"noiseMultiplier": 1}, fit={"stopWhen": {"noImprovement": {}}}),
            "lossBelow and noImprovement look at the data",
        ),
        (tuning() | {"spec": tuning()["spec"] | {"privacy": {"noiseMultiplier": 1}}}, "remove tuning or privacy"),
        (keras(text={}), "text is for family textClassifier only"),
        (keras(audio={}), "audio is for family audioClassifier only"),
        (
            keras(family="textClassifier", text={"maxTokens": 9, "numBins": 9}),
            "set maxTokens for a vocabulary or numBins",
        ),
        (keras(family="textClassifier", text={"layer": "lstm"}), "'lstm' is not one of"),
        (keras(family="audioClassifier", audio={"maxFreq": 10}), "maxFreq must be higher than minFreq"),
        (
            keras(family="audioClassifier", audio={"samplingRate": 8000, "maxFreq": 4001}),
            "half of samplingRate at most",
        ),
        (a_training_job(fit={"optimizer": {"name": "adam", "momentum": 0.9}}), "sgd and rmsprop have a momentum"),
        (a_training_job(fit={"classWeights": {}}), "set exactly one of balanced and weights"),
        (
            a_training_job(fit={"classWeights": {"balanced": True, "weights": {"a": 2}}}),
            "set exactly one of balanced and weights",
        ),
        (a_training_job(fit={"stopWhen": {"timeLimit": "0s"}}), "expected a duration longer than 0s"),
        (a_training_job(fit={"batchSize": "auto"}), "expected a number of rows, or Auto"),
        (a_training_job(fit={"batchSize": 0}), "0 is less than the minimum of 1"),
        (a_training_job(fit={"precision": "float16"}), "fit.precision"),
        (a_training_job(checkpoint={"every": "5 minutes"}), "such as 90s, 30m or 1h30m"),
        (a_training_job(fit={"epochs": 0}), "0 is less than the minimum of 1"),
        (a_training_job(fit={"optimizer": {"learningRate": 0}}), "0 is less than or equal to the minimum of 0"),
        (a_training_job(checkpoint={"keep": 1}), "1 is less than the minimum of 2"),
        (a_training_job(runPolicy={"activeDeadline": "0s"}), "expected a duration longer than 0s"),
        (a_training_job(runPolicy={"activeDeadline": "1 hour"}), "such as 90s, 30m or 1h30m"),
        (a_training_job(runPolicy={"startupTimeout": "0s"}), "expected a duration longer than 0s"),
        (a_training_job(runPolicy={"attemptDeadline": "0s"}), "expected a duration longer than 0s"),
        (a_training_job(runPolicy={"rerun": "a b"}), "expected a word without spaces, such as 2026-12-01"),
        (a_training_job(runPolicy={"schedule": {"cron": "0 3 * *"}}), "expected minute, hour, day of the month"),
        (a_training_job(runPolicy={"schedule": {"cron": "@daily", "timeZone": "?"}}), "expected a time zone, such as"),
        (a_training_job(runPolicy={"schedule": {"cron": "@daily", "concurrencyPolicy": "Allow"}}), "concurrencyPolicy"),
        (a_training_job(runPolicy={"cleanPods": "Some"}), "runPolicy.cleanPods"),
        (a_training_job(runPolicy={"stallTimeout": "29s"}), "stallTimeout must be 30s or longer"),
        (a_training_job() | {"metadata": {"name": "1st"}}, "metadata.name must be at most 50"),
        (a_training_job() | {"metadata": {"name": "a.b"}}, "metadata.name must be at most 50"),
        (a_training_job() | {"metadata": {"name": "a" * 51}}, "metadata.name must be at most 50"),
        (
            a_training_job(
                program={"keras": {"task": "regression", "family": "mlp", "monotonic": {"a": "increasing"}}}
            ),
            "only family gradientBoostedTrees can be held to directions",
        ),
        (a_training_job(data={"source": {"uri": "/d.csv"}}), "label is missing: name the column to predict"),
        (keras(image={"height": 32}), "image is for family cnn only"),
        (keras(family="cnn", image={"channels": 2}), "2 is not one of [1, 3]"),
        (keras(family="cnn", image={"augment": {"flip": "up"}}), "'up' is not one of"),
        (keras(family="svm", normalization="batchNormalization"), "only the layers of an mlp or a cnn have"),
        (
            keras(family="linear", hidden=[8]),
            "families linear and svm have no hidden layers: leave hidden, activation a",
        ),
        (keras(family="svm", dropout=0.5), "families linear and svm have no hidden layers"),
        (data(source={}), "set exactly one of uri, configMap and persistentVolumeClaim"),
        (data(source={"uri": "/d", "configMap": {"name": "d"}}), "set exactly one of uri, configMap and"),
        *((data(source={"uri": uri}), words) for uri, words in BAD_URIS),
        *((data(validation={"uri": uri}), words) for uri, words in BAD_URIS),
        (data(source={"configMap": {"name": "d"}, "secretRef": {"name": "s"}}), "only uri takes a secretRef"),
        (store(), "set exactly one of uri and persistentVolumeClaim"),
        (store(uri="s3://m", persistentVolumeClaim={"claimName": "m"}), "set exactly one of uri and persistent"),
        (store(persistentVolumeClaim={"claimName": "m"}, secretRef={"name": "s"}), "only uri takes a secretRef"),
        (store(uri="https://host/models"), "expected a bucket and a folder"),
        (store(uri="/models"), "for a claim set persistentVolumeClaim"),
        (store(uri="s3://m/?endpoint_override=evil"), "expected a bucket and a folder"),
        (store(uri="s3://m/a/../b"), "remove '..'"),
        (store(uri="s3://AKID:secret@m/a"), "no place for credentials"),
        (data(features=["rooms", "price"]), "label cannot be one of the features"),
        (data(features=[]), "should be non-empty"),
        (
            data(source={"persistentVolumeClaim": {"claimName": "c", "path": "/etc"}}),
            "expected a path relative to the root",
        ),
        (data(source={"persistentVolumeClaim": {"claimName": "c", "path": "a/../../b"}}), "stay inside the volume"),
        (data(source={"persistentVolumeClaim": {"claimName": "c", "path": ".."}}), "stay inside the volume"),
        (data(validation={"fraction": 1}), "expected a number from 0 to 0.9: write 20 % as 0.2"),
        (data(validation={"fraction": 0.1, "uri": "v.csv"}), "set at most one of fraction, uri and column"),
        (data(validation={"uri": "v.csv", "column": "split"}), "set at most one of fraction, uri and column"),
        (data(format="directory", validation={"column": "split"}), "name it in validation.uri, or use validation.frac"),
        (data(validation={"column": "price"}), "validation rows can be neither the label nor one of the features"),
        (data(validation={"column": "a"}, features=["a"]), "validation rows can be neither the label nor one of the"),
        (
            a_training_job(program={"keras": {"task": "multilabelClassification", "family": "svm"}}),
            "trees and family svm give each row one class",
        ),
        (
            a_training_job(program={"keras": {"task": "multilabelClassification"}}, fit={"metrics": ["precision"]}),
            "a metric has to fit the task",
        ),
        (data(hashing={"street": 1}), "1 is less than the minimum of 2"),
        (
            a_training_job(
                data={"source": {"uri": "/d.csv"}, "label": "price", "hashing": {"street": 1000}},
                program={"keras": {"task": "regression", "family": "randomForest"}},
            ),
            "only tables have hashed columns: those of the families linear, mlp and svm",
        ),
        (data(maxBadRows=-1), "-1 is less than the minimum of 0"),
        (worker(gpus=-1), "-1 is less than the minimum of 0"),
        (worker(replicas=0), "0 is less than the minimum of 1"),
        (worker(replicas=65), "65 is greater than the maximum of 64"),
        *(
            (
                a_training_job(
                    program={"keras": {"task": "regression", "family": family}}, roles={"worker": {"replicas": 2}}
                ),
                "trees are grown in one pod",
            )
            for family in ("gradientBoostedTrees", "randomForest")
        ),
        (
            a_training_job(privacy={"noiseMultiplier": 1}, roles={"worker": {"replicas": 2}}),
            "rows are drawn for one device: set roles.worker.replicas to 1",
        ),
        (
            a_training_job(tuning=TUNING, roles={"worker": {"replicas": 2}}),
            "tuning runs its trials in one pod: set roles.worker.replicas to 1",
        ),
        (worker(gpuResource="gpu"), "expected domain/name, such as nvidia.com/gpu"),
        (worker(resources={"limits": {"nvidia.com/gpu": 1}}), "set gpus instead of the GPU resource"),
        (worker(resources={"requests": {"nvidia.com/gpu": 1}}), "GPU resource in resources.requests"),
        (worker(gpuResource="amd.com/gpu", resources={"limits": {"amd.com/gpu": 1}}), "set gpus instead of the GPU"),
        (worker(resources={"requests": {"memory": "1GB"}}), "expected quantities such as 500m, 2, 16G or 16Gi"),
        (worker(resources={"requests": {"memory": "-1Gi"}}), "expected quantities such as 500m, 2, 16G or 16Gi"),
        (worker(template={"labels": {"trainyard.dev/role": "x"}}), "labels under trainyard.dev/ are set by"),
        (
            a_training_job(
                program={"keras": {"family": "randomForest", "task": "regression"}}, roles={"worker": {"gpus": 1}}
            ),
            "trees are grown on CPUs: set roles.worker.gpus to 0",
        ),
        (
            worker(template={"annotations": {"Container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}}),
            "annotations for AppArmor and seccomp are the operator's",
        ),
        (
            a_model_service(
                server={"template": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}}
            ),
            "annotations for AppArmor and seccomp are the operator's",
        ),
        (
            a_model_service(model={"uri": "pvc://models/churn/3", "verify": {"publicKey": {}}}),
            "exactly one of configMap",
        ),
        (
            a_model_service(
                model={"fromTraining": {"selector": {"matchLabels": {"a": "b"}}}, "digest": f"sha256:{64 * 'a'}"}
            ),
            "a digest goes with a uri",
        ),
        (worker(template={"env": [{"name": "TRAINYARD_SPEC", "value": "x"}]}), "TRAINYARD_* are set by the operator"),
        (worker(template={"env": [{"name": "A", "value": "x", "valueFrom": {}}]}), "set value or valueFrom, not both"),
        (worker(template={"env": [{"value": "x"}]}), "'name' is a required property"),
        (worker(template={"tolerations": [{"efect": "NoSchedule"}]}), "unknown field"),
        (a_training_job(fit={"loss": "hinge"}), "a loss has to fit the task"),
        (a_training_job(fit={"loss": "binary_crossentropy"}), "log_cosh or quantile or poisson for regression"),
        (a_training_job(fit={"metrics": ["r2_score", "recall"]}), "a metric has to fit the task"),
        (tuning(parameters=[]), "should be non-empty"),
        (tuning(parameters=[{"name": "data.label", "values": ["a"]}]), "expected a field of fit or program"),
        (tuning(parameters=[{"name": "fit.epochs", "values": ["1"], "step": 1}]), "set either values, or minValue"),
        (tuning(parameters=[RANGE], algorithm="grid"), "algorithm grid needs values, or a range with a step"),
        (tuning(parameters=[RANGE | {"step": 1, "sampling": "log"}]), "sampling log takes no step"),
        (
            tuning() | {"spec": tuning()["spec"] | {"program": {"container": {"image": "me/train:1"}}}},
            "a container program does its own tuning",
        ),
        (a_model_service(model={}), "set exactly one of fromTraining and uri"),
        (a_model_service(model={"uri": "ftp://models/churn/3"}), "expected the address of one version"),
        (a_model_service(model={"uri": "s3://models/churn/latest"}), "which ends with its number"),
        (a_model_service(model={"uri": "s3://AKID:secret@models/churn/3"}), "no place for credentials"),
        (a_model_service(model={"uri": "pvc://m/c/3", "secretRef": {"name": "s"}}), "takes no secretRef"),
        (a_model_service(model={"uri": "pvc://models/churn"}), "such as pvc://models/penguins/1"),
        (a_model_service(model={"uri": "pvc://models/a/../../b/3"}), "remove '..'"),
        (a_model_service(model={"fromTraining": {"selector": {"matchLabels": {}}}}), "should be non-empty"),
        (
            a_training_job(
                program={"container": {"image": "me/train:1"}},
                output=a_training_job()["spec"]["output"] | {"reuse": True},
            ),
            "a container program decides itself whether it trains again: remove output.reuse",
        ),
        (scaling(min=3, max=2), "min must be at most max"),
        (scaling(min=0), "0 is less than the minimum of 1"),
        (scaling(metrics=[]), "set at least one metric to scale by"),
        (scaling(keda={"prometheus": "prometheus:9090"}), "expected an address with http or https"),
        (keda(scaleToZero=True), "scaleToZero needs queries"),
        (scaling(metrics=[{"pods": {"name": "a", "average": 1}}], keda=KEDA), "write pods and external metrics as"),
        (a_model_service(disruption={"maxUnavailable": 0}), "0 is less than the minimum of 1"),
        (a_model_service(disruption={"maxUnavailable": "0%"}), "or percent such as 25%"),
        (through(grpcHostname="models.example.com"), "grpcHostname must differ from hostname"),
        (through(grpcSectionName="grpc"), "grpcSectionName needs grpcHostname"),
        (through(hostname="https://models.example.com"), "expected the name of a host"),
        (a_model_service(monitoring={"prometheusRule": True}), "prometheusRule needs podMonitor: true"),
        (a_model_service(monitoring={"objective": 100}), "greater than the maximum"),
        (a_model_service(traffic={"allowFrom": [{"podLabels": {"a": "b"}}]}), "allowFrom needs networkPolicy: true"),
        (a_model_service(traffic={"networkPolicy": True, "allowFrom": [{}]}), "set namespaceLabels, podLabels or both"),
        (scaling(metrics=[{}]), "set exactly one of cpu, memory"),
        (scaling(metrics=[{"gpuDutyCycle": 50, "latency": "5ms"}]), "set exactly one of cpu, memory"),
        (scaling(metrics=[{"cpu": 50}]), "scaling by cpu needs server.resources.requests.cpu"),
        (scaling(metrics=[{"memory": 50}]), "scaling by memory needs server.resources.requests.memory"),
        (scaling(metrics=[{"latency": "5"}]), "expected a time in milliseconds or seconds"),
        (scaling(metrics=[{"external": {"name": "lag"}}]), "set exactly one of average (for each replica) and value"),
        (a_model_service(gate=[{"metric": "loss", "atMost": 1}]), "set model.fromTraining, or remove the gate"),
        (a_model_service(model={"uri": "pvc://m/churn/3", "version": 3}), "a uri names its version itself"),
        (a_model_service(history=11), "11 is greater than the maximum of 10"),
        (a_model_service(checks=[{"name": "a"}]), "set request and expect, or configMapKeyRef"),
        (a_model_service(checks=[{"name": "a", "request": {}}]), "set request and expect, or configMapKeyRef"),
        (
            a_model_service(
                checks=[{"name": "a", "request": {}, "expect": {}, "configMapKeyRef": {"name": "a", "key": "b"}}]
            ),
            "set request and expect, or configMapKeyRef",
        ),
        (a_model_service(model={"uri": "pvc://m/churn/3", "verify": {}}), "set publicKey, or structure: true"),
        (following(verify={"structure": True}), "structure is for a uri without a digest"),
        (server(batching={}), "maxBatchSize"),
        (server(batching={"maxBatchSize": 8, "allowedSizes": [2, 4]}), "largest of allowedSizes must be maxBatchSize"),
        (server(batching={"maxBatchSize": 8, "allowedSizes": [8, 9]}), "largest of allowedSizes must be maxBatchSize"),
        (server(batching={"maxBatchSize": 8, "timeout": "1m"}), "such as 2ms"),
        (server(gpuMemoryFraction=0), "expected a number above 0 to 1"),
        (server(gpuMemoryFraction=1.5), "expected a number above 0 to 1"),
        (server(extraArgs=["--port=1"]), "these flags are set by the operator and by other fields"),
        (server(extraArgs=["--enable_batching"]), "these flags are set by the operator and by other fields"),
        (server(extraArgs=["--enable_profilers=1"]), "a flag that TensorFlow Serving 2.20 has"),
        (server(extraArgs=["enable_profiler"]), "a flag that TensorFlow Serving 2.20 has"),
        (gated(metric="loss"), "set at least one of atLeast, atMost and noWorseThanServing"),
        (gated(metric="loss", atLeast=2, atMost=1), "make atLeast the smaller one"),
        (gated(metric="lift", noWorseThanServing=0), "say with direction (min or max)"),
        (gated(metric="loss", noWorseThanServing=-1), "less than the minimum of 0"),
        (a_model_service(replicas=-1), "-1 is less than the minimum of 0"),
        (rollout(steps=[{"weight": 50}, {"weight": 10}]), "write them in ascending order"),
        (rollout(steps=[{"weight": 10}, {"weight": 10}]), "each step must have a larger weight"),
        (rollout(update="Recreate"), "set allowUnavailable to true"),
        (rollout(update="Recreate", allowUnavailable=True, steps=[{"weight": 1}]), "remove steps"),
        (rollout(update="Rolling"), "is not one of"),
        (rollout(progressDeadline="0s"), "expected a duration longer than 0s"),
        (rollout(analysis={"maxErrorRate": 0.1}), "an analysis judges steps"),
        (rollout(steps=[{"weight": 1}], analysis={}), "set at least one of maxErrorRate and maxLatencyIncrease"),
        (rollout(steps=[{"weight": 1}], analysis={"maxErrorRate": 2}), "write 20 % as 0.2"),
        (rollout(steps=[{"weight": 0}]), "0 is less than the minimum of 1"),
        (rollout(steps=[{"weight": 101}]), "101 is greater than the maximum of 100"),
        (rollout(steps=[{"weight": weight} for weight in range(1, 22)]), "is too long"),
        (a_model_service(server={"resources": {"limits": {"nvidia.com/gpu": 1}}}), "set gpus instead of the GPU"),
    ],
)
def test_bad_input_is_refused_with_what_to_change(resource, words):
    assert words in "; ".join(refusals(resource))


@pytest.mark.parametrize("field", ["program", "data", "fit", "checkpoint", "roles", "output"])
def test_what_a_training_was_started_with_cannot_change(field):
    old, new = a_training_job(), a_training_job(**CHANGED)
    new["spec"] = old["spec"] | {field: new["spec"][field]}
    assert refusals(new, old) == [f"{field} cannot change once the job exists; create a new TrainingJob to train again"]


CHANGED = {
    "program": {"keras": {"task": "regression", "hidden": [1]}},
    "data": {"source": {"configMap": {"name": "rows"}}, "label": "rent"},
    "fit": {"epochs": 11},
    "checkpoint": {"keep": 4},
    "roles": {"worker": {"template": {"affinity": {"nodeAffinity": {"a": 1}}}}},
    "output": {"store": {"persistentVolumeClaim": {"claimName": "other"}}},
}


SIGNING, OTHER_SIGNING = ({"secretKeyRef": {"name": name, "key": "private.pem"}} for name in ("keys", "others"))


@pytest.mark.parametrize(("old", "new"), [({}, TUNING), (TUNING, {}), (TUNING, TUNING | {"maxTrials": 9})])
def test_a_search_cannot_be_set_removed_or_changed_later(old, new):
    old, new = (a_training_job(**({"tuning": each} if each else {})) for each in (old, new))
    assert "tuning cannot change" in "".join(refusals(new, old))


@pytest.mark.parametrize(
    ("old", "new"), [({}, {"modelName": "a"}), ({"modelName": "a"}, {}), ({"modelName": "a"}, {"modelName": "b"})]
)
def test_a_model_name_cannot_be_set_removed_or_changed_later(old, new):
    assert "modelName cannot change" in "".join(refusals(a_training_job(**new), a_training_job(**old)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"managedBy": "a.b/c"}),
        ({"managedBy": "a.b/c"}, {}),
        ({"managedBy": "a.b/c"}, {"managedBy": "trainyard.dev/operator"}),
    ],
)
def test_a_training_does_not_change_its_controller(old, new):
    assert "managedBy cannot change" in "".join(refusals(a_training_job(**new), a_training_job(**old)))


def test_what_stays_in_the_store_can_change():
    assert refusals(output(keep={"versions": 3}), output()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [({}, {"signing": SIGNING}), ({"signing": SIGNING}, {}), ({"signing": SIGNING}, {"signing": OTHER_SIGNING})],
)
def test_a_signature_cannot_be_set_removed_or_changed_later(old, new):
    assert "output cannot change" in "".join(refusals(output(**new), output(**old)))


def test_reuse_may_be_set_before_a_backup():
    assert refusals(output(reuse=True, signing=SIGNING), output(signing=SIGNING)) == []


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ({}, {"runPolicy": {"queueName": "gpu"}}, "runPolicy.queueName"),
        ({"runPolicy": {"queueName": "gpu"}}, {"runPolicy": {"queueName": "cpu"}}, "runPolicy.queueName"),
        ({"metadata": {"labels": {"a": "b"}}}, {}, "metadata"),
        ({"profile": "a"}, {"profile": "b"}, "profile"),
    ],
)
def test_what_children_have_got_cannot_change_later(old, new, field):
    assert f"{field} cannot change" in "".join(refusals(a_training_job(**new), a_training_job(**old)))


def test_a_run_policy_may_change_and_a_default_may_be_written_out():
    old = a_training_job(modelName="a")
    new = a_training_job(modelName="a", runPolicy={"suspend": True}, fit={"seed": 42})
    assert refusals(new, old) == []


@pytest.mark.parametrize(("resource", "model"), [(a_training_job(), TrainingJob), (a_model_service(), ModelService)])
def test_the_api_servers_defaults_are_the_models_defaults(resource, model):
    defaulted = with_defaults(resource, SCHEMAS[resource["kind"]])["spec"]
    assert defaulted == model.model_validate(resource).spec.to_wire()


def test_a_given_field_keeps_the_defaults_beside_it():
    job = with_defaults(a_training_job(fit={"loss": "huber", "optimizer": {"momentum": 0.5}}), SCHEMAS["TrainingJob"])
    assert job["spec"]["fit"]["optimizer"] == {"name": "adam", "momentum": 0.5}
    assert job["spec"]["fit"]["seed"] == 42
    assert job["spec"]["roles"]["worker"]["gpuResource"] == "nvidia.com/gpu"


def test_what_the_api_server_defaulted_is_accepted_again():
    for resource in (a_training_job(), a_model_service()):
        stored = with_defaults(resource, SCHEMAS[resource["kind"]])
        assert refusals(copy.deepcopy(stored), stored) == []
