"""The restricted pod security standard: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SECCOMP = ("RuntimeDefault", "Localhost")


def violations(pod_spec: dict[str, Any]) -> list[str]:
    """Return what the admission controller would refuse in a namespace that enforces `restricted`."""
    found = [f"{field} is true" for field in ("hostNetwork", "hostPID", "hostIPC") if pod_spec.get(field)]
    for volume in pod_spec.get("volumes", ()):
        found += [f"volume {volume['name']} is {kind}" for kind in volume.keys() - {"name"} - _VOLUMES]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod_spec.get(group, ()):
            found += [f"{container['name']}: {each}" for each in _container(container, pod_spec)]
    return found


def _container(container: dict[str, Any], pod_spec: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    effective = pod_spec.get("securityContext", {}) | own
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities are not dropped"
    if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
        yield "may run as root"
    if effective.get("seccompProfile", {}).get("type") not in _SECCOMP:
        yield "no seccomp profile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"
