"""What runs inside a training pod: data in, SavedModel version out.

A program of your own takes from here the names on the page docs/how-to/programs.md; nothing heavy loads before use.
"""

from typing import TYPE_CHECKING

from trainyard_trainer.programs.data_spec import DataSpec as DataSpec

if TYPE_CHECKING:
    from trainyard_trainer.callbacks import Progress as Progress


def __getattr__(name: str) -> object:
    if name == "Progress":
        from trainyard_trainer.callbacks import Progress  # is a Keras callback, so it loads Keras

        return Progress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
