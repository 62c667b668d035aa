"""podFailurePolicy: what a failed pod means for its Job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard_devcluster.resources import Object, name_of, namespace_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action of the first rule that the pod matches, and in words what matched."""

    action: str
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the backoff limit."""
        return self.action != "Ignore"


NO_RULE = Verdict("Count")


def judge(rules: Sequence[dict[str, Any]], pod: Object) -> Verdict:
    """Find the first rule that a failed pod matches. Without one the failure counts."""
    for number, rule in enumerate(rules):
        what = _matched(rule, pod)
        if what:
            return Verdict(rule["action"], f"{what} matching {rule['action']} rule at index {number}")
    return NO_RULE


def _matched(rule: dict[str, Any], pod: Object) -> str:
    full_name = f"{namespace_of(pod)}/{name_of(pod)}"
    if on_codes := rule.get("onExitCodes"):
        for container, code in _exit_codes(pod, on_codes.get("containerName")):
            if (code in on_codes["values"]) == (on_codes["operator"] == "In"):
                return f"Container {container} for pod {full_name} failed with exit code {code}"
        return ""
    patterns = [(entry["type"], entry.get("status") or "True") for entry in rule.get("onPodConditions") or ()]
    for entry in pod.get("status", {}).get("conditions") or ():
        if (entry["type"], entry["status"]) in patterns:
            return f"Pod {full_name} has condition {entry['type']}"
    return ""


def _exit_codes(pod: Object, container: str | None) -> Iterable[tuple[str, int]]:
    status = pod.get("status", {})
    for entry in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        terminated = entry.get("state", {}).get("terminated")
        if terminated and terminated.get("exitCode") and container in (None, entry["name"]):
            yield entry["name"], terminated["exitCode"]
