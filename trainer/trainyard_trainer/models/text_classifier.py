"""Family textClassifier: a vector for each word, a layer that makes one vector of them, and dense layers."""

from collections.abc import Callable, Mapping

import keras
from keras import ops

from trainyard_api.program import KerasProgram
from trainyard_api.text import Text
from trainyard_trainer.data.tokenizer import PAD
from trainyard_trainer.encoding.texts import TOKENS, TextInputs
from trainyard_trainer.models.head import dense_head
from trainyard_trainer.tensors import Tensor


class MaskedAverage(keras.layers.Layer):
    """Averages the vectors of the words that are there.

    Keras' GlobalAveragePooling1D divides by their number even where it is 0, and an empty text became NaN.
    """

    def call(self, vectors: Tensor, there: Tensor) -> Tensor:
        """Return float32 [rows, width] for [rows, length, width] and [rows, length, 1]."""
        return ops.sum(vectors * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)


class MaskedMaximum(keras.layers.Layer):
    """Takes the largest value of the words that are there, and 0 where there is none."""

    def call(self, vectors: Tensor, there: Tensor) -> Tensor:
        """Return float32 [rows, width] for [rows, length, width] and [rows, length, 1]."""
        largest = ops.max(ops.where(there > 0, vectors, -1e9), axis=1)
        return ops.where(ops.max(there, axis=1) > 0, largest, 0.0)


class Positions(keras.layers.Layer):
    """Adds a learnt vector for each place in the text."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the vectors."""
        self._places = self.add_weight(shape=shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02))

    def call(self, vectors: Tensor) -> Tensor:
        """Return the same shape."""
        return vectors + self._places


def build_text_classifier(program: KerasProgram, inputs: TextInputs, outputs: int) -> keras.Model:
    """Return the model for token ids, int32 [rows, length]. Padding never changes an answer."""
    text = program.text or Text()
    ids = keras.Input((inputs.length,), dtype="int32", name=TOKENS)
    there = ops.cast(ops.expand_dims(ops.not_equal(ids, PAD), -1), "float32")
    vectors = keras.layers.Embedding(inputs.tokens, text.embedding_dim)(ids) * there
    return keras.Model({TOKENS: ids}, dense_head(program, _LAYERS[text.layer](program, text, vectors, there), outputs))


def _average(program: KerasProgram, text: Text, vectors: Tensor, there: Tensor) -> Tensor:
    return MaskedAverage()(vectors, there)


def _convolution(program: KerasProgram, text: Text, vectors: Tensor, there: Tensor) -> Tensor:
    x = keras.layers.Conv1D(text.filters, text.kernel_size, padding="same", activation=program.activation)(vectors)
    return MaskedMaximum()(x, there)


def _attention(program: KerasProgram, text: Text, vectors: Tensor, there: Tensor) -> Tensor:
    x = Positions()(vectors)
    width = max(text.embedding_dim // text.num_heads, 1)
    others = ops.cast(ops.swapaxes(there, 1, 2), "bool")
    seen = keras.layers.MultiHeadAttention(text.num_heads, width, dropout=program.dropout)(x, x, attention_mask=others)
    x = keras.layers.LayerNormalization()(x + seen)
    wide = keras.layers.Dense(2 * text.embedding_dim, activation=program.activation)(x)
    x = keras.layers.LayerNormalization()(x + keras.layers.Dense(text.embedding_dim)(wide))
    return MaskedAverage()(x, there)


_LAYERS: Mapping[str, Callable[[KerasProgram, Text, Tensor, Tensor], Tensor]] = {
    "globalAveragePooling1D": _average,
    "conv1D": _convolution,
    "multiHeadAttention": _attention,
}
