"""Task multilabelClassification: each label of a row is there or not, whatever the others are."""

import tensorflow as tf

from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.tasks.scores import total
from trainyard_trainer.tensors import Tensor, Totals

_COUNT, _LOSS = "count", "loss"


class MultilabelClassification:
    """Any number of labels. The outputs are the log-odds of each, in sorted order.

    Precision, recall and F1 are those of all answers for all labels together (micro averages).
    """

    totals: tuple[str, ...] = ("right", "hits", "guessed", "there")

    def __init__(self, labels: LabelSets) -> None:
        self._names = list(labels.names)
        self.outputs = len(self._names)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the binary cross-entropy, averaged over the labels."""
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(labels, tf.float32), logits=outputs)
        return tf.reduce_mean(losses, axis=1)

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the share of right answers of each row, summed up, and the counts that precision and recall need."""
        there, guessed = labels > 0, outputs > 0
        each = None if weights is None else weights[:, None]
        return {
            "right": total(there == guessed, each) / self.outputs,
            "hits": total(tf.logical_and(there, guessed), each),
            "guessed": total(guessed, each),
            "there": total(there, each),
        }

    def validation_sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the same."""
        return self.sums(labels, outputs, weights)

    def metrics(self, totals: Totals) -> dict[str, float]:
        """Return loss, accuracy, precision, recall and F1; without anything to find these are 0, as in Keras."""
        rows, hits, guessed, there = (float(totals[name]) for name in (_COUNT, "hits", "guessed", "there"))
        return {
            "loss": float(totals[_LOSS]) / (rows or 1.0),
            "binary_accuracy": float(totals["right"]) / (rows or 1.0),
            "precision": hits / guessed if guessed else 0.0,
            "recall": hits / there if there else 0.0,
            "f1_score": 2 * hits / (guessed + there) if guessed + there else 0.0,
        }

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the probability of each label in sorted order, and its name where it is above a half, else no text.

        A list of another length in each row could not be served.
        """
        return {
            "labels": tf.where(outputs > 0, tf.constant([self._names]), ""),
            "probabilities": tf.sigmoid(outputs),
        }
