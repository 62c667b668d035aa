"""Defaults of pods and pod templates."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver.quantities import canonical
from trainyard_devcluster.apiserver.values import Object

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_FILE_MODE = 0o644


def default_pod(pod: Object) -> None:
    """Fill in a pod."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    _default_tolerations(spec)


def _default_tolerations(spec: Object) -> None:
    """A pod stays five minutes on a node that went away, as the admission plugin of that name has it."""
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(
            each.get("key") in (key, None, "") and each.get("effect") in ("NoExecute", None, "") for each in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def default_template(template: Object) -> None:
    """Fill in a pod template."""
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    """Fill in what pods and templates have in common."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in containers_of(spec):
        default_container(container)
    if spec.get("hostNetwork"):
        for container in containers_of(spec):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port["containerPort"])
    for volume in spec.get("volumes") or ():
        default_volume(volume)


def containers_of(spec: Object) -> Iterator[Object]:
    """Yield every container of a pod spec."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def default_container(container: Object) -> None:
    """Fill in a container."""
    image = container.get("image", "")
    untagged = ":" not in image.rpartition("/")[2] and "@" not in image
    always = untagged or image.endswith(":latest")
    container.setdefault("imagePullPolicy", "Always" if always else "IfNotPresent")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    for kind in ("limits", "requests"):
        if kind in resources:
            resources[kind] = {name: canonical(value) for name, value in resources[kind].items()}
    # Where only limits are given, a container requests as much.
    for name, limit in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, limit)
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for name in _PROBES:
        if name in container:
            _default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_request(hook)


def _default_probe(probe: Object) -> None:
    for field, value in _PROBE.items():
        if not probe.get(field):
            probe[field] = value
    _default_request(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_request(handler: Object) -> None:
    request = handler.get("httpGet")
    if request is not None:
        request.setdefault("path", "/")
        request.setdefault("scheme", "HTTP")


def default_volume(volume: Object) -> None:
    """Fill in a volume; one without a source is an empty directory."""
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _FILE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if (volume.get("emptyDir") or {}).get("sizeLimit") is not None:
        volume["emptyDir"]["sizeLimit"] = canonical(volume["emptyDir"]["sizeLimit"])
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for each in (volume.get("projected") or {}).get("sources") or ():
        items += (each.get("downwardAPI") or {}).get("items") or ()
        if "serviceAccountToken" in each:
            each["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    for item in items:
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")
