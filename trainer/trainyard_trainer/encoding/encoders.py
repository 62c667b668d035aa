"""The input of each family in the graph: for training, and in front of the served model."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trainyard_trainer.data.images import ImageStatistics
from trainyard_trainer.data.inputs import FeatureStatistics
from trainyard_trainer.data.sounds import SoundStatistics
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tabular import TableStatistics
from trainyard_trainer.data.texts import TextStatistics
from trainyard_trainer.encoding.columns import TableEncoder, TableInputs
from trainyard_trainer.encoding.images import ImageEncoder, ImageInputs
from trainyard_trainer.encoding.sounds import SoundEncoder, SoundInputs
from trainyard_trainer.encoding.texts import TextEncoder, TextInputs
from trainyard_trainer.tensors import Arrays, Samples, Tensor, Tensors, TensorSpec


class Encoder(Protocol):
    """Prepares rows for a family of models; a tf.Module, so that what it holds is saved with the model."""

    inputs: TableInputs | ImageInputs | SoundInputs | TextInputs
    """Shape of the model's input, as the family's builder takes it."""
    missing: tuple[str, ...]
    """The texts that stand for a missing number in the columns of a table; none where there is no such column."""

    def signature(self) -> dict[str, TensorSpec]:
        """Return what a client sends: a tf.TensorSpec for each input."""

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the model's input for arrays as the data side delivers them."""

    def from_client(self, columns: Tensors) -> dict[str, Tensor]:
        """Return the model's input for what a client sent."""

    def samples(self, raw: RawBatch) -> Samples:
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
