"""What the kernel says about processes."""

from pathlib import Path


def running(pid: int | str | bytes) -> bool:
    """Whether there is such a process and it is not just waiting to be noticed as dead."""
    try:
        state = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
