"""A whole life of a TrainingJob: failures, a stop, a pause, and a good end."""

from collections.abc import Callable
from typing import Any

from support.training import World, a_report, a_training_job
from trainyard_operator.training.progress import Snapshot

Step = Callable[[World], Any]


def _runs(attempt: int) -> list[Step]:
    return [lambda world: world.create_pod(attempt), lambda world: world.run_pod(attempt)]


def _speaks(epoch: int) -> Step:
    def speak(world: World) -> None:
        world.progress.answer = Snapshot(phase="training", epoch=epoch, epochs=10)

    return speak


LIFE: list[Step] = [
    lambda world: world.put(a_training_job().with_run_policy(maxRestarts=2)),
    *_runs(0),
    _speaks(1),
    lambda world: world.later(seconds=1).update_spec(suspend=True),
    lambda world: world.later(seconds=1).update_spec(suspend=False),
    lambda world: world.fail(0, code=1, message="boom"),
    lambda world: world.later(seconds=10),
    *_runs(1),
    lambda world: world.fail(1, code=75, message=a_report(model=None)),
    lambda world: world.later(seconds=10),
    *_runs(2),
    lambda world: world.fail(2, code=1, message="boom"),
    lambda world: world.later(seconds=60),
    *_runs(3),
    _speaks(9),
    lambda world: world.succeed(3),
]
