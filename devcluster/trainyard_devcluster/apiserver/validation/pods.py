"""Rules on pod specs."""

import re
from collections.abc import Iterator

from trainyard_devcluster.apiserver.errors import (
    FieldError,
    duplicate,
    field_not_found,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from trainyard_devcluster.apiserver.metadata import dns_label, dns_subdomain, validate_labels
from trainyard_devcluster.apiserver.validation.common import port_error, quantity_errors, requirement_errors
from trainyard_devcluster.apiserver.values import Json, Object
from trainyard_devcluster.quantity import parse

_RESTART = ("Always", "OnFailure", "Never")
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_ENV_NAME = re.compile(r"[ -<>-~]+")
_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates", "nodeName")
_ONLY_IMAGES = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod(pod: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a pod."""
    yield from validate_pod_spec(pod.get("spec") or {}, "spec")


def validate_pod_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a running pod does not allow."""
    if _fixed(new["spec"]) != _fixed(old["spec"]):
        yield forbidden_field("spec", _ONLY_IMAGES)


def _fixed(spec: Object) -> Object:
    kept = {key: value for key, value in spec.items() if key not in _MUTABLE}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [{key: value for key, value in each.items() if key != "image"} for each in kept[field]]
    return kept


def validate_template(template: Object, path: str) -> Iterator[FieldError]:
    """Yield what is wrong with a pod template."""
    yield from validate_labels((template.get("metadata") or {}).get("labels"), f"{path}.labels")
    yield from validate_pod_spec(template.get("spec") or {}, f"{path}.spec")


def validate_pod_spec(spec: Object, path: str) -> Iterator[FieldError]:
    """Yield what is wrong with a pod spec."""
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _validate_volume(volume, f"{path}.volumes[{index}]", volumes)
        volumes.add(volume.get("name", ""))
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            at = f"{path}.{field}[{index}]"
            if container.get("name") in names:
                yield duplicate(f"{at}.name", container["name"])
            names.add(container.get("name", ""))
            yield from _validate_container(container, at, volumes)
    if spec.get("restartPolicy") not in _RESTART:
        yield not_supported(f"{path}.restartPolicy", spec.get("restartPolicy"), _RESTART)
    yield from validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    yield from _validate_node_affinity((spec.get("affinity") or {}).get("nodeAffinity") or {}, path)
    account = spec.get("serviceAccountName", "")
    if account and (problem := dns_subdomain(account)):
        yield invalid_value(f"{path}.serviceAccountName", account, problem)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        yield invalid_value(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    for field in ("hostname", "subdomain"):
        if spec.get(field) and (problem := dns_label(spec[field])):
            yield invalid_value(f"{path}.{field}", spec[field], problem)


def _validate_node_affinity(affinity: Object, path: str) -> Iterator[FieldError]:
    at = f"{path}.affinity.nodeAffinity"
    demanded = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = [
        (term, f"{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]")
        for index, term in enumerate(demanded.get("nodeSelectorTerms") or ())
    ] + [
        (preferred.get("preference") or {}, f"{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference")
        for index, preferred in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ())
    ]
    for term, term_path in terms:
        expressions = term.get("matchExpressions") or ()
        yield from requirement_errors(expressions, f"{term_path}.matchExpressions", of_nodes=True)


def _validate_volume(volume: Object, path: str, earlier: set[str]) -> Iterator[FieldError]:
    name = volume.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif problem := dns_label(name):
        yield invalid_value(f"{path}.name", name, problem)
    elif name in earlier:
        yield duplicate(f"{path}.name", name)
    sources = sorted(volume.keys() - {"name"})
    for source in sources[1:]:
        yield forbidden_field(f"{path}.{source}", "may not specify more than 1 volume type")
    claim = volume.get("persistentVolumeClaim")
    if claim is not None and not claim.get("claimName"):
        yield required(f"{path}.persistentVolumeClaim.claimName")


def _validate_container(container: Object, path: str, volumes: set[str]) -> Iterator[FieldError]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif problem := dns_label(name):
        yield invalid_value(f"{path}.name", name, problem)
    image = container.get("image", "")
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield invalid_value(f"{path}.image", image, "must not have leading or trailing whitespace")
    if container.get("imagePullPolicy") not in _PULL:
        yield not_supported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL)
    yield from _validate_ports(container.get("ports") or (), f"{path}.ports")
    yield from _validate_env(container.get("env") or (), f"{path}.env")
    yield from _validate_mounts(container.get("volumeMounts") or (), f"{path}.volumeMounts", volumes)
    yield from _validate_resources(container.get("resources") or {}, f"{path}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            yield from _validate_probe(container[probe], f"{path}.{probe}", ready=probe == "readinessProbe")


def _validate_ports(ports: Json, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name", "")
        if name and not _PORT_NAME.fullmatch(name):
            yield invalid_value(
                f"{path}[{index}].name",
                name,
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), "
                "at most 15 of them, with at least one letter",
            )
        elif name and name in seen:
            yield duplicate(f"{path}[{index}].name", name)
        seen.add(name)
        yield from port_error(port.get("containerPort"), f"{path}[{index}].containerPort")
        if port.get("protocol") not in _PROTOCOLS:
            yield not_supported(f"{path}[{index}].protocol", port.get("protocol"), _PROTOCOLS)


def _validate_env(variables: Json, path: str) -> Iterator[FieldError]:
    for index, variable in enumerate(variables):
        at, name = f"{path}[{index}]", variable.get("name", "")
        if not name:
            yield required(f"{at}.name")
        elif not _ENV_NAME.fullmatch(name):
            yield invalid_value(
                f"{at}.name",
                name,
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            )
        source = variable.get("valueFrom")
        if source is not None:
            if variable.get("value"):
                yield invalid_value(f"{at}.valueFrom", "", "may not be specified when `value` is not empty")
            if len(source) != 1:
                what = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                yield invalid_value(
                    f"{at}.valueFrom",
                    "",
                    what if not source else "may not have more than one field specified at a time",
                )


def _validate_mounts(mounts: Json, path: str, volumes: set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{path}[{index}]"
        if mount.get("name") not in volumes:
            yield field_not_found(f"{at}.name", mount.get("name"))
        where = mount.get("mountPath", "")
        if not where:
            yield required(f"{at}.mountPath")
        elif where in seen:
            yield invalid_value(f"{at}.mountPath", where, "must be unique")
        seen.add(where)
        below = mount.get("subPath", "")
        if below.startswith("/"):
            yield invalid_value(f"{at}.subPath", below, "must be a relative path")
        elif ".." in below.split("/"):
            yield invalid_value(f"{at}.subPath", below, "must not contain '..'")


def _validate_resources(resources: Object, path: str) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        broken = list(quantity_errors(amounts, f"{path}.{kind}"))
        yield from broken
        if broken:
            return
    for name, amount in requests.items():
        if name in limits and parse(amount) > parse(limits[name]):
            yield invalid_value(
                f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}"
            )
    for name in {*limits, *requests}:
        if "/" not in name:
            continue
        if name not in limits:
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif parse(requests.get(name, limits[name])) != parse(limits[name]):
            yield invalid_value(f"{path}.requests", requests[name], f"must be equal to {name} limit of {limits[name]}")
        elif parse(limits[name]).denominator != 1:
            yield invalid_value(f"{path}.limits[{name}]", limits[name], "must be an integer")


_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def _validate_probe(probe: Object, path: str, *, ready: bool) -> Iterator[FieldError]:
    handlers = [each for each in _HANDLERS if each in probe]
    if not handlers:
        yield required(path, "must specify a handler type")
    for handler in handlers[1:]:
        yield forbidden_field(f"{path}.{handler}", "may not specify more than 1 handler type")
    if not ready and probe.get("successThreshold", 1) != 1:
        yield invalid_value(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    if probe.get("initialDelaySeconds", 0) < 0:
        yield invalid_value(
            f"{path}.initialDelaySeconds", probe["initialDelaySeconds"], "must be greater than or equal to 0"
        )
    for handler in ("httpGet", "tcpSocket", "grpc"):
        port = (probe.get(handler) or {}).get("port")
        if isinstance(port, int):
            yield from port_error(port, f"{path}.{handler}.port")
