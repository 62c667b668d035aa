"""The input of each family in the graph: for training, and in front of the served model."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trainyard_trainer.data.images import ImageStatistics
from trainyard_trainer.data.inputs import FeatureStatistics
from trainyard_trainer.data.sounds import SoundStatistics
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tabular import TableStatistics
from trainyard_trainer.data.texts import TextStatistics
from trainyard_trainer.encoding.columns import TableEncoder
from trainyard_trainer.encoding.images import ImageEncoder
from trainyard_trainer.encoding.sounds import SoundEncoder
from trainyard_trainer.encoding.texts import TextEncoder


class Encoder(Protocol):
    """Prepares rows for a family of models; a tf.Module, so that what it holds is saved with the model."""

    inputs: Any
    """Shape of the model's input, as the family's builder takes it."""

    def signature(self) -> dict[str, Any]:
        """Return what a client sends: a tf.TensorSpec for each input."""

    def encode(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's input for arrays as the data side delivers them."""

    def from_client(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's input for what a client sent."""

    def samples(self, raw: RawBatch) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """Return some of the rows, and odd ones, twice: as a client sends them, and as the data side delivers them."""


_ENCODERS: Mapping[type, Callable[[Any], Encoder]] = {
    ImageStatistics: ImageEncoder,
    SoundStatistics: SoundEncoder,
    TableStatistics: TableEncoder,
    TextStatistics: TextEncoder,
}


def encoder_for(facts: FeatureStatistics) -> Encoder:
    """Return the encoder of a kind of features."""
    return _ENCODERS[type(facts)](facts)
