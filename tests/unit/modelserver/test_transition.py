"""The next step of one model."""

import pytest

from trainyard_modelserver.transition import Load, Stage, Unload, VersionStage, next_step

NEW, LOADING, READY, ERROR = Stage.NEW, Stage.LOADING, Stage.READY, Stage.ERROR


def wanted(version: int, stage: Stage) -> VersionStage:
    return VersionStage(version, stage, aspired=True)


def leaving(version: int, stage: Stage = READY) -> VersionStage:
    return VersionStage(version, stage, aspired=False)


@pytest.mark.parametrize(
    ("versions", "step"),
    [
        ([], None),
        ([wanted(1, NEW)], Load(1)),
        ([wanted(1, NEW), wanted(3, NEW), wanted(2, NEW)], Load(3)),
        ([wanted(1, READY)], None),
        # The new one first, the old one after it is ready.
        ([leaving(1), wanted(2, NEW)], Load(2)),
        ([leaving(1), wanted(2, LOADING)], None),
        ([leaving(1), wanted(2, READY)], Unload(1)),
        # The new one failed: the old one stays.
        ([leaving(1), wanted(2, ERROR)], None),
        # Nothing is wanted any more: all go, the lowest first.
        ([leaving(2), leaving(1)], Unload(1)),
        # One old version is enough to bridge the gap.
        ([leaving(1), leaving(2), wanted(3, LOADING)], Unload(1)),
        # A second wanted version waits until there is nothing left to unload.
        ([leaving(1), wanted(2, READY), wanted(3, NEW)], Unload(1)),
        ([wanted(2, READY), wanted(3, NEW)], Load(3)),
        ([leaving(1, Stage.UNLOADING), wanted(2, READY)], None),
    ],
)
def test_availability_comes_first(versions: list[VersionStage], step: Load | Unload | None) -> None:
    assert next_step(versions) == step
