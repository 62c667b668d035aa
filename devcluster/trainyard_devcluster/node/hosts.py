"""The hosts file that stands for the cluster's DNS. Its content is pure; it is written whenever that changes."""

import os
from collections.abc import Iterable
from pathlib import Path

from trainyard_devcluster.node.services import SERVICE_NAME_LABEL
from trainyard_devcluster.resources import Object, name_of, namespace_of

CLUSTER_DOMAIN = "svc.cluster.local"


def content(services: Iterable[Object], slices: Iterable[Object]) -> str:
    """One line per address and full name: Services by their cluster IP, headless ones by their pods'."""
    headless: set[tuple[str, str]] = set()
    lines: set[str] = set()
    for service in services:
        address = service["spec"].get("clusterIP")
        if address == "None":
            headless.add((namespace_of(service), name_of(service)))
        elif address:
            lines.add(f"{address} {name_of(service)}.{namespace_of(service)}.{CLUSTER_DOMAIN}")
    for each in slices:
        owner = (each["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL, "")
        if (namespace_of(each), owner) in headless:
            lines |= _pod_lines(each, f"{owner}.{namespace_of(each)}.{CLUSTER_DOMAIN}")
    return "".join(f"{line}\n" for line in sorted(lines))


def _pod_lines(endpoint_slice: Object, domain: str) -> set[str]:
    lines: set[str] = set()
    for endpoint in endpoint_slice.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is False:
            continue
        for address in endpoint["addresses"]:
            lines.add(f"{address} {domain}")
            if endpoint.get("hostname"):
                lines.add(f"{address} {endpoint['hostname']}.{domain}")
    return lines


def write(path: Path, text: str) -> None:
    """Replace the file at once, where it changed."""
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)
