"""Refuses a model with operations that a served model may not have: see trainyard_fetcher/operations.py."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainyard_fetcher.operations import refused_in_graph, refused_operations
from trainyard_trainer.errors import BadInput, listed


def check_saved(folder: Path, what: str) -> None:
    """Refuse a SavedModel with an operation that no model may have; `what` is whose it is, for the message.

    Raises:
        BadInput: it has one.
    """
    _refuse(refused_operations((folder / "saved_model.pb").read_bytes()), what)


if TYPE_CHECKING:
    import tensorflow as tf


def check_traced(function: "tf.types.experimental.ConcreteFunction", what: str) -> None:
    """Refuse a concrete function with an operation that no model may have, before it is trained for hours.

    Raises:
        BadInput: it has one.
    """
    _refuse(refused_in_graph(function.graph.as_graph_def().SerializeToString()), what)


def _refuse(operations: list[str], what: str) -> None:
    if operations:
        raise BadInput(
            f"{what} uses {listed(operations)}: a served model may compute from its inputs and weights only, and may "
            "not reach for files, data sets, the network or Python, nor print; do that before the training, and leave "
            "it out of the model"
        )
