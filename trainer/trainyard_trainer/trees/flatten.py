"""From ydf's trees of objects to flat arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from ydf import tree as ydf_tree

from trainyard_trainer.tensors import Doubles
from trainyard_trainer.trees.forest import Forest

WORD_BITS = 32
_KNOWN = (ydf_tree.NumericalHigherThanCondition, ydf_tree.CategoricalIsInCondition)


def flatten(root: ydf_tree.AbstractNode, columns: Sequence[int], widths: Mapping[int, int], *, features: int) -> Forest:
    """Return one tree.

    `columns` says, for each column of ydf's data, which of ours it is (see `Grower`); `widths` how many items our
    categories have, by column; `features` how many columns there are.

    Raises:
        TypeError: a condition of a kind that the graph has no answer to.
    """
    nodes, levels, flat = [root], [0], _Nodes()
    scores = np.zeros((1, features))
    for at, node in enumerate(nodes):  # which grows on the way
        if node.is_leaf:
            flat.add_leaf(at, node.value)
            continue
        if not isinstance(node.condition, _KNOWN):
            raise TypeError(f"expected conditions on numbers or categories, got {type(node.condition).__name__}")
        column = columns[node.condition.attribute]
        flat.add_condition(column, node.condition, child=len(nodes), width=widths.get(column, 0))
        scores[0, column] += node.condition.score
        nodes += [node.neg_child, node.pos_child]
        levels += [levels[at] + 1] * 2
    return flat.forest(depth=levels[-1], scores=scores)


class _Nodes:
    def __init__(self) -> None:
        self._rows: list[tuple[int, float, bool, int, int, int]] = []
        self._words: list[npt.NDArray[np.int32]] = []
        self._count = 0
        self._values: list[Sequence[float]] = []

    def add_leaf(self, at: int, value: ydf_tree.AbstractValue) -> None:
        self._rows.append((0, np.inf, False, -1, at, len(self._values)))
        match value:
            case ydf_tree.RegressionValue():
                self._values.append([value.value])
            case ydf_tree.ProbabilityValue():
                # Of two classes the second one's says it all.
                self._values.append(value.probability[1:] if len(value.probability) == 2 else value.probability)
            case _:
                raise TypeError(f"expected a number or probabilities in a leaf, got {type(value).__name__}")

    def add_condition(self, column: int, condition: ydf_tree.AbstractCondition, *, child: int, width: int) -> None:
        if isinstance(condition, ydf_tree.CategoricalIsInCondition):
            self._rows.append((column, np.inf, False, self._add_set(condition, width), child, 0))
        else:
            self._rows.append((column, condition.threshold, condition.missing, -1, child, 0))

    def _add_set(self, condition: ydf_tree.AbstractCondition, width: int) -> int:
        bits = np.zeros(-(-width // WORD_BITS) * WORD_BITS, np.uint8)
        bits[list(condition.mask)] = 1
        self._words.append(np.packbits(bits, bitorder="little").view("<i4"))
        begin, self._count = self._count, self._count + len(self._words[-1])
        return begin

    def forest(self, *, depth: int, scores: Doubles) -> Forest:
        column, threshold, missing, words_at, child, leaf = zip(*self._rows, strict=True)
        words = np.concatenate([np.zeros(0, np.int32), *self._words])
        return Forest(
            column=np.array(column, np.int32),
            threshold=np.array(threshold, np.float32),
            missing=np.array(missing, bool),
            words_at=np.array(words_at, np.int32),
            child=np.array(child, np.int32),
            leaf=np.array(leaf, np.int32),
            words=words,
            values=np.array(self._values, np.float32),
            counts=np.array([[len(self._rows), len(words), len(self._values)]], np.int64),
            depth=np.array([depth], np.int32),
            scores=scores,
        )
