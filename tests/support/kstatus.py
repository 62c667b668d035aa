"""What Flux and other tools built on kstatus make of an object, as its documentation describes the rules."""

from typing import Any


def kstatus(manifest: dict[str, Any]) -> str:
    """Return Terminating, InProgress, Failed or Current."""
    metadata, status = manifest.get("metadata", {}), manifest.get("status", {})
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata.get("generation"):
        return "InProgress"
    conditions = [(one["type"], one["status"]) for one in status.get("conditions", [])]
    for condition in conditions:
        if condition == ("Reconciling", "True"):
            return "InProgress"
        if condition == ("Stalled", "True"):
            return "Failed"
    # Kinds that kstatus has no rules for are judged by Ready, where they have it.
    return "InProgress" if {("Ready", "False"), ("Ready", "Unknown")} & set(conditions) else "Current"
