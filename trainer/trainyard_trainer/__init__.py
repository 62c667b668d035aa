"""What runs inside a training pod: data in, SavedModel version out.

A program of the user's own takes from here what its docs/programs.md names; nothing heavy is loaded before it is used.
"""

from typing import TYPE_CHECKING, Any

from trainyard_trainer.programs.data_spec import DataSpec as DataSpec

if TYPE_CHECKING:
    from trainyard_trainer.programs.callback import Progress as Progress


def __getattr__(name: str) -> Any:
    if name == "Progress":
        from trainyard_trainer.programs.callback import Progress  # is a Keras callback, so it loads Keras

        return Progress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
