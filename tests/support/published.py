"""Model versions in a store, and clients of what serves them: both as pods, so that it works on any cluster."""

import base64
import json
import re
from collections.abc import Collection
from importlib.metadata import version

from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_pod
from trainyard_api import tensorflow_serving_pb2

VERSION = version("trainyard-operator")
TRAINER_IMAGE = f"trainyard/trainer:{VERSION}"
OPERATOR_IMAGE = f"trainyard/operator:{VERSION}"
STORE = "models"
_FLOAT = 1  # TensorFlow's DataType

_PUBLISH = """
import hashlib, json, pathlib, sys
import tensorflow as tf

dtype = sys.argv[1]

class Line(tf.Module):
    def __init__(self, slope):
        super().__init__()
        self.slope = tf.Variable(float(slope), dtype=dtype)

    @tf.function(input_signature=[tf.TensorSpec([None], dtype, name="x")])
    def predict(self, x):
        return {"y": self.slope * x}

# Fails in the server, as a model does whose files are damaged.
class Broken(Line):
    @tf.function(input_signature=[tf.TensorSpec([None], dtype, name="x")])
    def predict(self, x):
        lost = tf.io.decode_compressed(tf.strings.as_string(x), "GZIP")
        return {"y": self.slope * x * tf.cast(tf.strings.length(lost), tf.float32)}

# Answers rightly, and 50 ms late.
class Slow(Line):
    @tf.function(input_signature=[tf.TensorSpec([None], dtype, name="x")])
    def predict(self, x):
        nothing = tf.data.experimental.to_variant(tf.data.Dataset.range(1))
        late = tf.raw_ops.SleepDataset(
            input_dataset=nothing, sleep_microseconds=50_000, output_types=[tf.int64], output_shapes=[[]]
        )
        late = tf.data.experimental.from_variant(late, tf.TensorSpec([], tf.int64))
        zero = late.reduce(tf.constant(0, tf.int64), lambda sum, one: sum + one)
        return {"y": self.slope * x + tf.cast(zero, dtype)}

broken, slow = (set(map(int, words.split())) for words in sys.argv[2:4])
for version in map(int, sys.argv[4:]):
    folder = pathlib.Path("/trainyard/store/line") / str(version)
    line = (Broken if version in broken else Slow if version in slow else Line)(version)
    tf.saved_model.save(line, str(folder), signatures={"serving_default": line.predict})
    files = [
        {"path": str(path.relative_to(folder)), "size": path.stat().st_size,
         "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.rglob("*")) if path.is_file()
    ]
    content = json.dumps({"kind": "ModelManifest", "name": "line", "version": version, "files": files}).encode()
    (folder / "trainyard.json").write_bytes(content)
    print("published", version, "sha256:" + hashlib.sha256(content).hexdigest(), flush=True)
"""

_ASK = """
import sys, time
{connect}
count, last, said = 0, None, time.monotonic()
while True:
    try:
        answer = ask()
        count += 1
    except {errors} as error:
        answer = repr(error)
        print("error", answer, flush=True)
    if answer != last:
        print("answer", answer, flush=True)
        last = answer
    if time.monotonic() - said > 0.5:
        print("count", count, flush=True)
        said = time.monotonic()
    time.sleep(0.005)
"""

# A new connection for each request: a server that ends closes idle ones, and what a client does then is its own affair.
_REST = """
import http.client, json

def ask():
    connection = http.client.HTTPConnection(sys.argv[1], 8501, timeout=10)
    try:
        connection.request("POST", f"/v1/models/{sys.argv[2]}:predict", json.dumps({"instances": [1.0]}))
        response = connection.getresponse()
        answer = response.read().decode()
        if response.status != 200:
            raise OSError(answer)
        return json.loads(answer)["predictions"][0]
    finally:
        connection.close()
"""

# One channel for ever, as gRPC clients have it. TensorFlow Serving's messages are made and described here, since the
# image need not know them.
_GRPC = """
import base64, socket, struct
import grpc
from google.protobuf import descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
pool.AddSerializedFile(base64.b64decode("{messages}"))
Reply = message_factory.GetMessageClass(pool.FindMessageTypeByName("trainyard.tensorflow_serving.PredictResponse"))
request = base64.b64decode(sys.argv[3])
# On the devcluster names are resolved for Python, not for gRPC's own resolver.
call = grpc.insecure_channel(f"{socket.gethostbyname(sys.argv[1])}:8500").unary_unary(
    "/tensorflow.serving.PredictionService/Predict", response_deserializer=Reply.FromString
)

def ask():
    answer = call(request, timeout=10)
    y = answer.outputs["y"].tensor_content
    (said,) = struct.unpack("<f", y) if y else answer.outputs["y"].float_val
    if said != answer.model_spec.version.value:
        raise SystemExit(f"version {answer.model_spec.version.value} says {said}")
    return said
""".replace("{messages}", base64.b64encode(tensorflow_serving_pb2.DESCRIPTOR.serialized_pb).decode())

_CLIENTS = {"rest": (PYTHON_IMAGE, _REST, "OSError"), "grpc": (OPERATOR_IMAGE, _GRPC, "grpc.RpcError")}


_ASK_ONCE = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
with urllib.request.urlopen(request, timeout=30) as answer:
    print(json.dumps(json.load(answer)["predictions"]))
"""


def publish(
    api: Api, *versions: int, dtype: str = "float32", broken: Collection[int] = (), slow: Collection[int] = ()
) -> dict[int, str]:
    """Write these versions of model `line`, which multiplies by its version, into the store; return their digests.

    Those that are broken load and answer no request. Those that are slow answer 50 ms later than others.
    """
    arguments = [dtype, *(" ".join(map(str, found)) for found in (broken, slow)), *map(str, versions)]
    pod = _a_pod("publisher", _PUBLISH, TRAINER_IMAGE, arguments)
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "store", "mountPath": "/trainyard/store"}]
    pod["spec"]["volumes"] = [{"name": "store", "persistentVolumeClaim": {"claimName": STORE}}]
    api.apply(pod)
    api.wait_for(pod, _has_ended, timeout=120)
    log = api.logs("publisher")
    api.delete(pod)
    found = {int(version): digest for version, digest in re.findall(r"published (\d+) (\S+)", log)}
    assert found.keys() == set(versions), log
    return found


def predictions(api: Api, service: str, instances: list[Object]) -> list[Object]:
    """Return what a ModelService answers to rows, asked by a pod through its Service."""
    url = f"http://{service}.{api.namespace}.svc:8501/v1/models/{service}:predict"
    pod = _a_pod("asker", _ASK_ONCE, PYTHON_IMAGE, [url, json.dumps({"instances": instances})])
    api.apply(pod)
    ended = api.wait_for(pod, _has_ended, timeout=60)
    log = api.logs("asker")
    assert ended["status"]["phase"] == "Succeeded", log
    answers: list[Object] = json.loads(log)
    return answers


class Client:
    """A pod that sends one request after the other to a ModelService and never tries one again."""

    def __init__(self, api: Api, service: str, protocol: str) -> None:
        image, connect, errors = _CLIENTS[protocol]
        code = _ASK.replace("{connect}", connect).replace("{errors}", errors)
        self._api = api
        arguments = [f"{service}.{api.namespace}.svc", service, base64.b64encode(predict_request(service)).decode()]
        self._pod = _a_pod(f"client-{protocol}", code, image, arguments)
        api.apply(self._pod)

    def wait_for(self, answer: float, *, timeout: float = 60) -> None:
        """Return once a request was answered so."""
        said = f"answer {answer}"
        self._api.wait_for(
            self._pod,
            lambda pod: pod.get("status", {}).get("phase") == "Running" and said in self._lines(),
            timeout=timeout,
            description=f"it says {said}",
        )

    def stop(self) -> tuple[int, list[str]]:
        """End it; return how many requests were answered, and the errors of those that were not."""
        found = self.so_far()
        self._api.delete(self._pod, grace_seconds=0)
        return found

    def so_far(self) -> tuple[int, list[str]]:
        """Return how many requests were answered, and the errors of those that were not."""
        lines = self._lines()
        counts = [int(line.removeprefix("count ")) for line in lines if line.startswith("count ")]
        return max(counts, default=0), [line for line in lines if line.startswith("error ")]

    def _lines(self) -> list[str]:
        return self._api.logs(self._pod["metadata"]["name"]).splitlines()


def predict_request(model: str) -> bytes:
    one = tensorflow_serving_pb2.Tensor(dtype=_FLOAT, tensor_shape={"dim": [{"size": 1}]}, float_val=[1.0])
    request = tensorflow_serving_pb2.PredictRequest(model_spec={"name": model}, inputs={"x": one})
    return bytes(request.SerializeToString())


def _a_pod(name: str, code: str, image: str, arguments: list[str]) -> Object:
    container = {"name": "main", "image": image, "command": ["python", "-u", "-c", code, *arguments]}
    return a_pod(container, name=name)


def _has_ended(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
