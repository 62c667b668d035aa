"""Discovery: which groups, versions and resources are served, in the old and the aggregated form."""

from collections.abc import Iterable
from typing import Literal

from trainyard_devcluster.apiserver.negotiate import media_types
from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.resource import Resource, Subresource
from trainyard_devcluster.apiserver.values import Object

VERSION: Object = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+trainyard-devcluster",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
_STATUS_VERBS = ("get", "patch", "update")
Aggregated = Literal["v2", "v2beta1"]


def aggregated_version(accept: str) -> Aggregated | None:
    """Return the version of aggregated discovery that a client asks for, if it prefers that to the old form."""
    for each in media_types(accept):
        if each.name == "application/json":
            if each.parameters.get("g") == "apidiscovery.k8s.io":
                return "v2" if each.parameters.get("v") == "v2" else "v2beta1"
            return None
    return None


def core_versions(server: str) -> Object:
    """Return the answer of /api."""
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}


def group_list(registry: Registry) -> Object:
    """Return the answer of /apis."""
    groups = [_group(name, versions) for name, versions in registry.group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Object | None:
    """Return the answer of /apis/<group>, None where there is no such group."""
    versions = registry.group_versions().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions) if name and versions else None


def _group(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(registry: Registry, group_name: str, version: str) -> Object | None:
    """Return the answer of /api/v1 or /apis/<group>/<version>, None where there is none."""
    found = registry.within(group_name, version)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version}" if group_name else version,
        "resources": [entry for resource in found for entry in _entries(resource)],
    }


def _entries(resource: Resource) -> Iterable[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    yield entry
    for sub in subresources(resource):
        own_group, _, own_version = sub.group_version.rpartition("/")
        typed = {"group": own_group, "version": own_version} if sub.group_version else {}
        yield {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            **typed,
            "kind": sub.kind,
            "verbs": list(sub.verbs),
        }


def subresources(resource: Resource) -> list[Subresource]:
    """Return every subresource of a resource."""
    found = list(resource.subresources)
    if resource.scale:
        found.append(Subresource("scale", "Scale", _STATUS_VERBS, resource.scale.version))
    if resource.status:
        found.append(Subresource("status", resource.kind, _STATUS_VERBS))
    return found


def aggregated(registry: Registry, version: Aggregated, *, core: bool) -> Object:
    """Return the aggregated answer of /api (core) or /apis."""
    items = [
        {"metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
         "versions": [_aggregated_version(registry, name, each) for each in versions]}
        for name, versions in registry.group_versions().items()
        if core is (not name)
    ]  # fmt: skip
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(registry: Registry, group_name: str, version: str) -> Object:
    resources = [_aggregated(resource) for resource in registry.within(group_name, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subs = [_aggregated_sub(resource, each) for each in subresources(resource)]
    return entry | ({"subresources": subs} if subs else {})


def _aggregated_sub(resource: Resource, sub: Subresource) -> Object:
    own_group, _, own_version = sub.group_version.rpartition("/")
    if not sub.group_version:
        own_group, own_version = resource.group, resource.version
    return {
        "subresource": sub.name,
        "responseKind": {"group": own_group, "version": own_version, "kind": sub.kind},
        "verbs": list(sub.verbs),
    }
