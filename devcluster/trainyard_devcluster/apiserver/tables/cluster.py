"""Columns of nodes, services, configuration, storage and the rest."""

from datetime import datetime

from trainyard_devcluster.apiserver.tables.age import since
from trainyard_devcluster.apiserver.tables.column import Column
from trainyard_devcluster.apiserver.tables.render import AGE, NAME
from trainyard_devcluster.apiserver.tables.workloads import field
from trainyard_devcluster.apiserver.values import Json, Object, dig

_ROLE = "node-role.kubernetes.io/"


def _node_status(node: Object, now: datetime) -> str:
    ready = next((each for each in dig(node, "status", "conditions") or () if each["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    return ",".join(words + (["SchedulingDisabled"] if dig(node, "spec", "unschedulable") else []))


def _roles(node: Object, now: datetime) -> str:
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE))) or "<none>"


def _address(node: Object, kind: str) -> str:
    return next((each["address"] for each in dig(node, "status", "addresses") or () if each["type"] == kind), "<none>")


NODES = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _roles),
    AGE,
    Column("Version", field("status", "nodeInfo", "kubeletVersion", otherwise="")),
    Column("Internal-IP", lambda obj, now: _address(obj, "InternalIP"), priority=1),
    Column("External-IP", lambda obj, now: _address(obj, "ExternalIP"), priority=1),
    Column("OS-Image", field("status", "nodeInfo", "osImage", otherwise="<unknown>"), priority=1),
    Column("Kernel-Version", field("status", "nodeInfo", "kernelVersion", otherwise="<unknown>"), priority=1),
    Column(
        "Container-Runtime", field("status", "nodeInfo", "containerRuntimeVersion", otherwise="<unknown>"), priority=1
    ),
)
NAMESPACES = (NAME, Column("Status", field("status", "phase")), AGE)


def _external_ip(service: Object, now: datetime) -> str:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    if spec.get("type") == "LoadBalancer":
        ingress = dig(service, "status", "loadBalancer", "ingress") or ()
        found = [each.get("ip") or each.get("hostname", "") for each in ingress] + (spec.get("externalIPs") or [])
        return ",".join(found) or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or "<none>"


def _ports(service: Object, now: datetime) -> str:
    return (
        ",".join(
            f"{each['port']}{':' + str(each['nodePort']) if each.get('nodePort') else ''}/{each.get('protocol', 'TCP')}"
            for each in service["spec"].get("ports") or ()
        )
        or "<none>"
    )


def _pairs(labels: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


SERVICES = (
    NAME,
    Column("Type", field("spec", "type")),
    Column("Cluster-IP", field("spec", "clusterIP")),
    Column("External-IP", _external_ip),
    Column("Port(s)", _ports),
    AGE,
    Column("Selector", lambda obj, now: _pairs(dig(obj, "spec", "selector")), priority=1),
)


def _listed(found: list[str], limit: int = 3) -> str:
    more = f" + {len(found) - limit} more..." if len(found) > limit else ""
    return (",".join(found[:limit]) + more) or "<none>"


def _endpoints(obj: Object, now: datetime) -> str:
    return _listed([
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ])  # fmt: skip


ENDPOINTS = (NAME, Column("Endpoints", _endpoints), AGE)
ENDPOINT_SLICES = (
    NAME,
    Column("AddressType", field("addressType")),
    Column("Ports", lambda obj, now: _listed([str(each.get("port", "*")) for each in obj.get("ports") or ()])),
    Column(
        "Endpoints",
        lambda obj, now: _listed([ip for each in obj.get("endpoints") or () for ip in each.get("addresses") or ()]),
    ),
    AGE,
)


def _entries(obj: Object, now: datetime) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


CONFIG_MAPS = (NAME, Column("Data", _entries, type="string"), AGE)
SECRETS = (NAME, Column("Type", field("type")), Column("Data", _entries, type="integer"), AGE)
SERVICE_ACCOUNTS = (NAME, Column("Secrets", lambda obj, now: len(obj.get("secrets") or ()), type="integer"), AGE)

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: Json) -> str:
    return ",".join(_MODES.get(mode, mode) for mode in modes or ())


def _phase(obj: Object, now: datetime) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else dig(obj, "status", "phase") or ""


def _claim(volume: Object, now: datetime) -> str:
    claim = dig(volume, "spec", "claimRef")
    return f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""


_ATTRIBUTES = Column("VolumeAttributesClass", field("spec", "volumeAttributesClassName", otherwise="<unset>"))
_MODE = Column("VolumeMode", field("spec", "volumeMode", otherwise="<unset>"), priority=1)

VOLUME_CLAIMS = (
    NAME,
    Column("Status", _phase),
    Column("Volume", field("spec", "volumeName", otherwise="")),
    Column("Capacity", field("status", "capacity", "storage", otherwise="")),
    Column("Access Modes", lambda obj, now: _modes(dig(obj, "status", "accessModes"))),
    Column("StorageClass", field("spec", "storageClassName", otherwise="")),
    _ATTRIBUTES,
    AGE,
    _MODE,
)
VOLUMES = (
    NAME,
    Column("Capacity", field("spec", "capacity", "storage", otherwise="")),
    Column("Access Modes", lambda obj, now: _modes(dig(obj, "spec", "accessModes"))),
    Column("Reclaim Policy", field("spec", "persistentVolumeReclaimPolicy", otherwise="")),
    Column("Status", _phase),
    Column("Claim", _claim),
    Column("StorageClass", field("spec", "storageClassName", otherwise="")),
    _ATTRIBUTES,
    Column("Reason", field("status", "reason", otherwise="")),
    AGE,
    _MODE,
)
STORAGE_CLASSES = (
    NAME,
    Column("Provisioner", field("provisioner", otherwise="")),
    Column("ReclaimPolicy", field("reclaimPolicy", otherwise="Delete")),
    Column("VolumeBindingMode", field("volumeBindingMode", otherwise="Immediate")),
    Column("AllowVolumeExpansion", lambda obj, now: bool(obj.get("allowVolumeExpansion")), type="string"),
    AGE,
)
PRIORITY_CLASSES = (
    NAME,
    Column("Value", field("value", otherwise=0), type="integer"),
    Column("Global-Default", lambda obj, now: bool(obj.get("globalDefault")), type="boolean"),
    AGE,
    Column("PreemptionPolicy", field("preemptionPolicy", otherwise="PreemptLowerPriority")),
)


def _involved(event: Object, now: datetime) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _last_seen(event: Object, now: datetime) -> str:
    latest = dig(event, "series", "lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return since(latest or dig(event, "metadata", "creationTimestamp"), now)


def _first_seen(event: Object, now: datetime) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _source(event: Object, now: datetime) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    return f"{component}, {source['host']}" if source.get("host") else component


EVENTS = (
    Column("Last Seen", _last_seen),
    Column("Type", field("type", otherwise="")),
    Column("Reason", field("reason", otherwise="")),
    Column("Object", _involved),
    Column("Subobject", field("involvedObject", "fieldPath", otherwise=""), priority=1),
    Column("Source", _source, priority=1),
    Column("Message", lambda obj, now: str(obj.get("message") or "").strip()),
    Column("First Seen", _first_seen, priority=1),
    Column("Count", lambda obj, now: dig(obj, "series", "count") or obj.get("count") or 1, type="integer", priority=1),
    Column("Name", NAME.cell, format="name", priority=1),
)
LEASES = (NAME, Column("Holder", field("spec", "holderIdentity", otherwise="")), AGE)
DEFINITIONS = (NAME, Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp", ""), type="date"))
ROLES = (NAME, Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp", ""), type="date"))


def _subjects(kind: str) -> Column:
    def cell(obj: Object, now: datetime) -> str:
        found = (each for each in obj.get("subjects") or () if each.get("kind") == kind)
        return ", ".join(f"{e['namespace']}/{e['name']}" if e.get("namespace") else e["name"] for e in found)

    return Column({"ServiceAccount": "ServiceAccounts"}.get(kind, f"{kind}s"), cell, priority=1)


ROLE_BINDINGS = (
    NAME,
    Column("Role", lambda obj, now: "{kind}/{name}".format(**obj["roleRef"])),
    AGE,
    _subjects("User"),
    _subjects("Group"),
    _subjects("ServiceAccount"),
)
INGRESSES = (
    NAME,
    Column("Class", field("spec", "ingressClassName")),
    Column("Hosts", lambda obj, now: _listed([each.get("host") or "*" for each in dig(obj, "spec", "rules") or ()])),
    Column("Address", lambda obj, now: ""),
    Column("Ports", lambda obj, now: "80, 443" if dig(obj, "spec", "tls") else "80"),
    AGE,
)
NETWORK_POLICIES = (
    NAME,
    Column("Pod-Selector", lambda obj, now: _pairs(dig(obj, "spec", "podSelector", "matchLabels"))),
    AGE,
)
