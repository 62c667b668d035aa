"""Sets of completion indexes as a Job's status writes them: `1,3-5,7`."""

from collections.abc import Iterable


def parse(text: str | None) -> frozenset[int]:
    """Read a set of indexes."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def render(indexes: Iterable[int]) -> str:
    """Write a set of indexes. Three or more in a row become a range, and so do two."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
