"""Looks at a cluster as Trainyard needs it: each finding says what is the matter, and what mends it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from trainyard.cluster import (
    ACCESS_REVIEWS,
    CRDS,
    DEPLOYMENTS,
    MODEL_SERVICES,
    NODES,
    STORAGE_CLASSES,
    TRAINING_JOBS,
    Cluster,
    Manifest,
    Resource,
)
from trainyard.delivery import has_default_class
from trainyard.errors import ClusterError, Forbidden, NotFound, Unreachable
from trainyard_api.crd import RESOURCES, crd
from trainyard_api.meta import GROUP, VERSION
from trainyard_api.names import NAME_LABEL

Level = Literal["ok", "warn", "fix"]
OLDEST = (1, 29)
_INSTALL = "helm install trainyard charts/trainyard --namespace trainyard-system --create-namespace"
_DRIVER_LABELS = (
    "nvidia.com/cuda.driver-version.full",
    "nvidia.com/cuda.driver.major",
    "nvidia.com/cuda.driver-version.major",
)
_WANTED = (
    ("create", TRAINING_JOBS, ""),
    ("create", MODEL_SERVICES, ""),
    ("create", Resource("ConfigMap", "configmaps"), ""),
    ("get", Resource("Pod", "pods"), "log"),
    ("create", Resource("Service", "services"), "proxy"),
)
_MONITORING, _GATEWAY, _KUEUE = "monitoring.coreos.com", "gateway.networking.k8s.io", "kueue.x-k8s.io"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    text: str
    fix: str = ""


def examine(cluster: Cluster, namespace: str) -> Iterator[Finding]:
    """Yield what was found, one check after another; a check that may not look says so."""
    try:
        version = cluster.raw("/version")
    except Unreachable as error:
        yield Finding("fix", str(error), "kubectl cluster-info, and check KUBECONFIG")
        return
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _version(version),
        lambda: _nodes(cluster),
        lambda: _definitions(cluster),
        lambda: _operator(cluster),
        lambda: _rights(cluster, namespace),
        lambda: _storage(cluster),
        lambda: _additions(cluster),
    )
    for check in checks:
        try:
            yield from check()
        except Forbidden as error:
            yield Finding("warn", f"cannot look: {error}")
        except ClusterError as error:
            yield Finding("warn", f"could not look: {error}")


def _version(version: Manifest) -> Iterator[Finding]:
    numbers = re.findall(r"\d+", f"{version.get('major')}.{version.get('minor')}")
    found = tuple(int(number) for number in numbers[:2])
    told = f"Kubernetes {version.get('gitVersion', '').lstrip('v')}"
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield Finding("fix", f"{told} is older than {oldest}", f"upgrade the cluster to Kubernetes {oldest} or newer")
    else:
        yield Finding("ok", told)


def _nodes(cluster: Cluster) -> Iterator[Finding]:
    nodes = cluster.select(NODES, None)
    gpus: dict[str, int] = {}
    drivers = set()
    for node in nodes:
        for name, amount in (node.get("status", {}).get("allocatable") or {}).items():
            if name.endswith("/gpu") and int(amount):
                gpus[name] = gpus.get(name, 0) + int(amount)
        labels = node["metadata"].get("labels") or {}
        drivers |= {labels[key] for key in _DRIVER_LABELS if key in labels}
    ready = sum(_is_true(node, "Ready") for node in nodes)
    told = f"{ready} of {len(nodes)} nodes ready"
    if not gpus:
        yield Finding("ok" if ready else "fix", f"{told}, no GPU declared: trainings run on CPUs")
        return
    drivers_told = f" (driver {', '.join(sorted(drivers))})" if drivers else ""
    yield Finding("ok", f"{told}, {', '.join(f'{count} {name}' for name, count in sorted(gpus.items()))}{drivers_told}")


def _definitions(cluster: Cluster) -> Iterator[Finding]:
    for resource in RESOURCES:
        name = f"{resource.plural}.{GROUP}"
        try:
            live = cluster.get(CRDS, None, name)
        except NotFound:
            yield Finding("fix", f"the CRD {name} is not there: Trainyard is not installed", _INSTALL)
            continue
        except Forbidden:
            yield _served(cluster, resource.plural)
            continue
        missing = sorted(_paths(_schema(crd(resource))) - _paths(_schema(live)))
        if missing:
            yield Finding(
                "fix",
                f"the CRD {name} is older than this client: it lacks {missing[0]}"
                + (f" and {len(missing) - 1} more fields" if len(missing) > 1 else ""),
                "kubectl apply --server-side -f manifests/crds",
            )
        else:
            yield Finding("ok", f"CRD {name} has every field of this client")


def _served(cluster: Cluster, plural: str) -> Finding:
    served = {each["name"] for each in cluster.raw(f"/apis/{GROUP}/{VERSION}").get("resources", ())}
    if plural in served:
        return Finding("ok", f"{plural}.{GROUP} is served; its CRD you may not read")
    return Finding("fix", f"{plural}.{GROUP} is not served", _INSTALL)


def _operator(cluster: Cluster) -> Iterator[Finding]:
    try:
        found = cluster.select(DEPLOYMENTS, None, labels=f"{NAME_LABEL}=trainyard")
    except Forbidden:
        yield Finding("warn", "you may not list Deployments: whether the operator runs is not known")
        return
    if not found:
        yield Finding("fix", "no Deployment of the operator is there", _INSTALL)
    for each in found:
        name = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        image = each["spec"]["template"]["spec"]["containers"][0].get("image", "")
        if _is_true(each, "Available"):
            yield Finding("ok", f"the operator {name} is available ({image})")
        else:
            namespace = each["metadata"]["namespace"]
            yield Finding("fix", f"the operator {name} is not available", f"kubectl describe pods -n {namespace}")


def _rights(cluster: Cluster, namespace: str) -> Iterator[Finding]:
    denied = [
        _words(verb, resource, sub)
        for verb, resource, sub in _WANTED
        if not _may(cluster, namespace, verb, resource, sub)
    ]
    if denied:
        yield Finding(
            "fix",
            f"you may not {', '.join(denied)} in namespace {namespace}",
            f"kubectl create rolebinding trainyard-user --clusterrole=edit --user=YOU -n {namespace}",
        )
    else:
        yield Finding("ok", f"you may train, read logs and predict in namespace {namespace}")


def _words(verb: str, resource: Resource, subresource: str) -> str:
    return f"{verb} {resource.plural}{f'/{subresource}' if subresource else ''}"


def _may(cluster: Cluster, namespace: str, verb: str, resource: Resource, subresource: str) -> bool:
    attributes: dict[str, Any] = {
        "namespace": namespace,
        "verb": verb,
        "group": resource.group,
        "resource": resource.plural,
    } | ({"subresource": subresource} if subresource else {})
    review = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "metadata": {},
        "spec": {"resourceAttributes": attributes},
    }
    return bool(cluster.create(ACCESS_REVIEWS, None, review).get("status", {}).get("allowed"))


def _storage(cluster: Cluster) -> Iterator[Finding]:
    classes = [each["metadata"]["name"] for each in cluster.select(STORAGE_CLASSES, None)]
    if has_default_class(cluster):
        yield Finding("ok", f"there is a default StorageClass (of {len(classes)})")
    elif classes:
        yield Finding(
            "warn",
            "no StorageClass is the default: a claim has to name one",
            f"kubectl annotate storageclass {classes[0]} storageclass.kubernetes.io/is-default-class=true, "
            "or train with --store CLAIM",
        )
    else:
        yield Finding(
            "warn", "there is no StorageClass", "train with --store s3://bucket/models, or make volumes by hand"
        )


def _additions(cluster: Cluster) -> Iterator[Finding]:
    groups = {each["name"] for each in cluster.raw("/apis").get("groups", ())}
    wanted = (
        (_MONITORING, "Prometheus Operator", "metrics can be scraped all the same: the pods have a /metrics"),
        (_GATEWAY, "Gateway API", "services are reached inside the cluster, or by a port-forward"),
        (_KUEUE, "Kueue", "trainings start at once, without a queue"),
    )
    for group, name, without in wanted:
        yield Finding("ok", f"{name} is there" if group in groups else f"without {name} ({without})")


def _is_true(manifest: Manifest, kind: str) -> bool:
    conditions = manifest.get("status", {}).get("conditions") or ()
    return any(each.get("type") == kind and each.get("status") == "True" for each in conditions)


def _schema(definition: Manifest) -> Manifest:
    versions = definition["spec"]["versions"]
    chosen = next((each for each in versions if each["name"] == VERSION), versions[0])
    found: Manifest = chosen.get("schema", {}).get("openAPIV3Schema", {})
    return found


def _paths(schema: Manifest, path: str = "") -> set[str]:
    found = set()
    for name, inner in (schema.get("properties") or {}).items():
        where = f"{path}.{name}".lstrip(".")
        found |= {where} | _paths(inner, where)
    if "items" in schema:
        found |= _paths(schema["items"], f"{path}[]")
    return {each for each in found if each.startswith("spec")}
