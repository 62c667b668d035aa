"""What people want to know of a model beside its metrics: who is mistaken for whom, by how much, and how sure it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, Labels
from trainyard_trainer.tensors import Array

MOST_CLASSES = 50
"""Of more, only the most frequent ones are told, and there is no confusion matrix."""
_BINS = 10
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def of_classes(
    labels: Any, scores: Any, names: Sequence[str], *, probabilities: bool, weights: Array | None = None
) -> dict[str, Any]:
    """Return how well classes were told apart.

    Args:
        labels: int [rows], the classes that are right.
        scores: float [rows, classes]; the largest is what the model answers.
        names: Of the classes.
        probabilities: Whether the scores are that.
        weights: float [rows], how much each row counts; all alike where absent.
    """
    guessed, count = scores.argmax(axis=1), len(names)
    right = labels == guessed
    rows, said, hits = (np.bincount(each, minlength=count) for each in (labels, guessed, labels[right]))
    there = rows
    if weights is not None:
        there, said = (np.bincount(each, weights=weights, minlength=count) for each in (labels, guessed))
        hits = np.bincount(labels, weights=weights * right, minlength=count)
    shown = np.sort(np.argsort(-there, kind="stable")[:MOST_CLASSES])
    found: dict[str, Any] = {
        "classes": [
            {
                "class": names[i],
                "rows": int(rows[i]),
                "precision": _share(hits[i], said[i]),
                "recall": _share(hits[i], there[i]),
                "f1": _share(2 * hits[i], there[i] + said[i]),
            }
            for i in shown
        ]
    }
    if count <= MOST_CLASSES:
        confusion = np.bincount(labels * count + guessed, weights=weights, minlength=count * count)
        found["confusion"] = confusion.reshape(count, count).tolist()
    occurring = [1] if count == 2 else [i for i in shown if there[i]]
    areas = [average_precision(labels == i, scores[:, i], weights) for i in occurring if 0 < there[i] < there.sum()]
    if areas:
        found["prAuc"] = float(np.mean(areas))
    return found | ({"calibration": calibration(labels, scores, weights)} if probabilities else {})


def average_precision(there: Any, scores: Any, weights: Array | None = None) -> float:
    """Return the area under the precision-recall curve, as a sum of steps; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    counts = np.ones(len(scores)) if weights is None else weights[order].astype(np.float64)
    hits, chosen = np.cumsum(there[order] * counts), np.cumsum(counts)
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision, recall = hits[last] / np.where(chosen[last] > 0, chosen[last], 1.0), hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def calibration(labels: Any, probabilities: Any, weights: Array | None = None) -> dict[str, Any]:
    """Return how often the model is right where it says that it is so sure.

    Of two classes the probability is that of the second one, of more that of the likeliest. `error` is the mean
    difference between what it says and how often that was so.
    """
    two = probabilities.shape[1] == 2
    said = probabilities[:, 1] if two else probabilities.max(axis=1)
    true = labels == 1 if two else probabilities.argmax(axis=1) == labels
    bins = np.clip((said * _BINS).astype(int), 0, _BINS - 1)
    rows, counts = np.bincount(bins, minlength=_BINS), np.ones(len(labels)) if weights is None else weights
    sums = [np.bincount(bins, weights=each * counts, minlength=_BINS) for each in (said, true)]
    within = np.bincount(bins, weights=counts, minlength=_BINS)
    return {
        "error": float(np.abs(sums[0] - sums[1]).sum() / within.sum()),
        "bins": [
            {
                "from": i / _BINS,
                "rows": int(rows[i]),
                "said": float(sums[0][i] / within[i]),
                "was": float(sums[1][i] / within[i]),
            }
            for i in np.flatnonzero(within)
        ],
    }


def of_numbers(labels: Any, predicted: Any, weights: Array | None = None) -> dict[str, Any]:
    """Return how far predicted numbers were from the labels; with weights each row counts as that many."""
    residuals = np.asarray(labels, np.float64) - predicted
    if weights is None:
        found = np.quantile(residuals, _QUANTILES)
    else:
        found = np.quantile(residuals, _QUANTILES, weights=weights, method="inverted_cdf")
    return {"residuals": {f"{share:g}": float(each) for share, each in zip(_QUANTILES, found, strict=True)}}


def constant_answer(labels: Labels, *, rows: float, hinge: bool) -> tuple[Any, str]:
    """Return the outputs, float32 [outputs], of always giving the same answer, and that answer in words.

    Args:
        labels: Of the training rows.
        rows: How many those are, or what they weigh together.
        hinge: Whether outputs are distances from a margin, not logits.
    """
    if isinstance(labels, LabelSets):
        shares = (np.asarray(labels.weights or labels.counts) / rows).clip(1e-6, 1 - 1e-6)
        return np.log(shares / (1 - shares)).astype(np.float32), "the shares of the labels"
    if not isinstance(labels, ClassLabels):
        middle = f"{np.expm1(labels.logs[0]):.4g}" if labels.logs else f"the mean {labels.mean:.4g}"
        return np.zeros(1, np.float32), middle
    shares = labels.shares.clip(1e-12).astype(np.float32)  # all rows of a class may have weight 0
    outputs = np.eye(len(shares), dtype=np.float32)[shares.argmax()] if hinge else np.log(shares)
    if len(shares) == 2:  # one output, positive for the second
        outputs = outputs[1:] - outputs[:1]
    return outputs, "the most frequent class" if hinge else "the shares of the classes"


def better_by(loss: float, constant: float) -> float | None:
    """Return which share of the loss of a constant answer a model saves; nothing where that is no loss at all."""
    return 1 - loss / constant if constant > 0 else None


def compared(metric: str, loss: float, *, constant: float, answer: str) -> str:
    """Return in words how much better than a constant answer a model is, or that it is not."""
    saved = better_by(loss, constant)
    if saved is None or saved <= 0:
        return (
            f"{metric} {loss:.4g} is no better than {constant:.4g}, which always answering {answer} has: the model has "
            "learnt nothing of use"
        )
    return f"{metric} {loss:.4g} is {100 * saved:.3g} % below {constant:.4g}, which always answering {answer} has"


def _share(some: Any, of: Any) -> float:
    return float(some / of) if of else 0.0
