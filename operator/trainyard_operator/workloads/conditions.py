"""The conditions that both kinds have. kstatus wants them there only while they hold."""

from typing import Literal

RECONCILING, STALLED = "Reconciling", "Stalled"


def truth(value: bool) -> Literal["True", "False"]:
    """Return the status of a condition."""
    return "True" if value else "False"
