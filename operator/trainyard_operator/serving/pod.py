"""The pod that serves: an init container that brings and verifies the model, and TensorFlow Serving."""

import math
from dataclasses import dataclass

from trainyard_api.meta import parse_duration
from trainyard_api.names import (
    BATCHING_FILE,
    GRPC_PORT,
    MONITORING_CONFIG_FILE,
    PUBLIC_KEY_FILE,
    PUBLIC_KEY_MOUNT,
    REST_PORT,
    SERVING_CONFIG_MOUNT,
    SERVING_MODELS_MOUNT,
    STORE_MOUNT,
    STORE_SECRET_DIR_ENV,
    STORE_SECRET_MOUNT,
    TERMINATION_MESSAGE_ENV,
    TERMINATION_MESSAGE_PATH,
)
from trainyard_api.pods import Resources
from trainyard_api.quantities import parse_quantity
from trainyard_api.server import Server, ServerThreads, flag_name
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.serving.revision import Revision
from trainyard_operator.workloads.pod import CONFINED, pod_spec, resources, variables

FETCH, SERVER = "fetch", "server"
"""The containers of a serving pod: the one that brings the model, and TensorFlow Serving."""
METRICS_PATH = "/monitoring/prometheus/metrics"
CONNECTION_AGE = 10
"""Seconds after which a gRPC client is asked to connect anew: it finds new pods, and leaves those that end."""
DRAIN = 15
"""Seconds a pod goes on after it was told to end: longer than the news takes, and than connections live."""
GRACE_PERIOD = DRAIN + 5
"""Seconds to its end. TensorFlow Serving knows no SIGTERM (tensorflow/serving#1853) and is killed then."""
_MOST_CORES = 1024
"""More than a node has; TensorFlow Serving would try to start that many threads."""
_TMP = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 (an emptyDir of the pod's own)


@dataclass(frozen=True, slots=True)
class FetchImages:
    """Images that bring a model: from a volume with the operator's, from other stores with one that reaches them."""

    volume: str
    store: str


def pod_template(service: str, revision: Revision, *, fetch_images: FetchImages) -> Manifest:
    """Return the pod template of a revision; it satisfies the `restricted` pod security standard."""
    template = revision.server.template
    server = revision.server
    spec = pod_spec(template, grace_period=GRACE_PERIOD, gpu_resource=server.gpu_resource if server.gpus else None) | {
        "initContainers": [_fetch(service, revision, fetch_images)],
        "containers": [_server(service, revision)],
        "volumes": [
            *_store(revision),
            *_public_key(revision),
            {"name": "models", "emptyDir": {}},
            {"name": "config", "configMap": {"name": identity.revision_name(service, revision.id)}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(REST_PORT), "prometheus.io/path": METRICS_PATH}
    if template.topology_spread_constraints is None:
        spec["topologySpreadConstraints"] = _spread(service, revision)
    metadata = {
        "labels": (template.labels or {}) | identity.revision_labels(service, revision),
        "annotations": scrape | (template.annotations or {}),
    }
    return {"metadata": metadata, "spec": spec}


def _spread(service: str, revision: Revision) -> list[Manifest]:
    """Return what spreads the replicas of a revision: the loss of a node or a zone takes few of them.

    Only new pods learn of it: the Deployment of a revision is written once.
    """
    own = {"labelSelector": {"matchLabels": identity.pod_selector(service, revision.id)}}
    rules = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    keys = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    return [rules | {"topologyKey": key} | own for key in keys]


def server_image(server: Server) -> str:
    """Return the image that serves. TensorFlow publishes its default image with CUDA under a tag of its own."""
    default: str = Server.model_fields["image"].default
    return f"{default}-gpu" if server.gpus and server.image == default else server.image


def _store(revision: Revision) -> list[Manifest]:
    if revision.model.claim is not None:
        return [{"name": "store", "persistentVolumeClaim": {"claimName": revision.model.claim, "readOnly": True}}]
    if revision.fetching.secret is None:
        return []
    # Read by the pod's group, and so by the init container alone: the server does not mount it.
    return [{"name": "store", "secret": {"secretName": revision.fetching.secret, "defaultMode": 0o440}}]


def _public_key(revision: Revision) -> list[Manifest]:
    key = revision.fetching.public_key
    if key is None:
        return []
    if key.secret_key_ref:
        reference, kind, name = key.secret_key_ref, "secret", "secretName"
    else:
        assert key.config_map_key_ref is not None  # a rule of the schema
        reference, kind, name = key.config_map_key_ref, "configMap", "name"
    files = [{"key": reference.key, "path": PUBLIC_KEY_FILE}]
    return [{"name": "public-key", kind: {name: reference.name, "items": files, "defaultMode": 0o440}}]


def _fetch(service: str, revision: Revision, images: FetchImages) -> Manifest:
    model, remote, fetching = revision.model, revision.model.claim is None, revision.fetching
    # Only the trainer's image can tell a signature.
    large = remote or fetching.public_key is not None
    mount = STORE_SECRET_MOUNT if remote else STORE_MOUNT
    arguments = {
        "--source": model.uri if remote else f"{STORE_MOUNT}/{model.model}/{model.folder}",
        "--target": f"{SERVING_MODELS_MOUNT}/{service}/{model.version}",
        "--digest": model.digest,
        "--public-key": f"{PUBLIC_KEY_MOUNT}/{PUBLIC_KEY_FILE}" if fetching.public_key else None,
    }
    environment = {TERMINATION_MESSAGE_ENV: TERMINATION_MESSAGE_PATH}
    if fetching.secret:
        environment[STORE_SECRET_DIR_ENV] = mount
    return {
        "name": FETCH,
        "image": images.store if large else images.volume,
        "command": ["python", "-m", "trainyard_trainer.fetch" if large else "trainyard_fetcher"],
        "args": [
            *(word for pair in arguments.items() if pair[1] for word in pair),
            *(["--structure"] if fetching.structure else []),
            *(["--allow-any-operation"] if fetching.any_operation else []),
        ],
        "env": list(variables(environment).values()),
        "resources": resources(_fetch_resources(revision, large=large), gpus=0, gpu_resource=""),
        "securityContext": CONFINED,
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *({"name": volume["name"], "mountPath": mount, "readOnly": True} for volume in _store(revision)),
            *(
                {"name": volume["name"], "mountPath": PUBLIC_KEY_MOUNT, "readOnly": True}
                for volume in _public_key(revision)
            ),
            {"name": "models", "mountPath": SERVING_MODELS_MOUNT},
            _TMP,
        ],
    }


def _fetch_resources(revision: Revision, *, large: bool) -> Resources:
    """Return what the init container may use: a buffer, and room for the graph.

    It has limits, because a ResourceQuota on limits refuses pods without them.
    """
    own = revision.fetching.resources
    if own != Resources():
        return own
    memory = "1Gi" if large else "512Mi"
    return Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"cpu": "1", "memory": memory})


def _server(service: str, revision: Revision) -> Manifest:
    # The REST port opens last, and none before the model is loaded; a connection that asks nothing counts nowhere.
    server = revision.server
    probe = {"tcpSocket": {"port": "http"}, "timeoutSeconds": 2}
    return {
        "name": SERVER,
        "image": server_image(server),
        "args": _flags(revision),
        "env": _environment(service, revision),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "http", "containerPort": REST_PORT, "protocol": "TCP"},
        ],
        "resources": resources(
            server.resources,
            gpus=server.gpus,
            gpu_resource=server.gpu_resource,
            claims=server.template.resource_claims,
        ),
        "startupProbe": probe | {"periodSeconds": 1, "failureThreshold": parse_duration(server.startup_timeout)},
        "readinessProbe": probe | {"periodSeconds": 5, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN}}},
        "securityContext": CONFINED,
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        # What TensorFlow Serving could not load is told by its log only.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "models", "mountPath": SERVING_MODELS_MOUNT, "readOnly": True},
            {"name": "config", "mountPath": SERVING_CONFIG_MOUNT, "readOnly": True},
            _TMP,
        ],
    }


def _flags(revision: Revision) -> list[str]:
    flags: dict[str, object] = {
        "monitoring_config_file": f"{SERVING_CONFIG_MOUNT}/{MONITORING_CONFIG_FILE}",
        # The one version is there and verified before the server starts: nothing to look out for, no use in retrying.
        "file_system_poll_wait_seconds": 0,
        "max_num_load_retries": 0,
        "grpc_channel_arguments": f"grpc.max_connection_age_ms={CONNECTION_AGE * 1000}",
    }
    if cores := _cores(revision):
        # Left alone, it sizes its pools by the CPUs of the node (tensorflow/serving#2132).
        flags |= {
            "tensorflow_intra_op_parallelism": cores,
            "tensorflow_inter_op_parallelism": cores,
            "rest_api_num_threads": 4 * cores,
            "grpc_max_threads": 4 * cores,
        }
    flags |= _fields(revision.server)
    given = {flag_name(argument) for argument in revision.server.extra_args}
    return [*(f"--{name}={value}" for name, value in flags.items() if name not in given), *revision.server.extra_args]


def _fields(server: Server) -> dict[str, object]:
    """Return the flags that fields of the spec stand for."""
    threads = server.threads or ServerThreads()
    wanted = {
        "tensorflow_intra_op_parallelism": threads.intra,
        "tensorflow_inter_op_parallelism": threads.inter,
        "num_request_iterations_for_warmup": server.warmup_iterations,
        "per_process_gpu_memory_fraction": server.gpu_memory_fraction,
        "enable_batching": "true" if server.batching else None,
        "batching_parameters_file": f"{SERVING_CONFIG_MOUNT}/{BATCHING_FILE}" if server.batching else None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _cores(revision: Revision) -> int | None:
    limit = (revision.server.resources.limits or {}).get("cpu")
    return min(_MOST_CORES, max(1, math.ceil(parse_quantity(limit)))) if limit else None


def _environment(service: str, revision: Revision) -> list[Manifest]:
    own = {variable["name"]: variable for variable in revision.server.template.env or []}
    return list((own | variables({"MODEL_NAME": service, "MODEL_BASE_PATH": SERVING_MODELS_MOUNT})).values())
