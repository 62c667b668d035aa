"""Trees as flat arrays: what is grown, kept in checkpoints, cut at the best round and compiled to a graph."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from trainyard_trainer.tensors import Array, Arrays, Doubles, Floats, Integers, Mask


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees, one after the other. Positions (`child`, `words_at`, `leaf`) count from the start of their own tree.

    For each node: `column` is a number's, or, where `words_at` is not -1, a category's; `threshold` is what a number
    must reach and `missing` whether a missing one does; `words_at` is where the node's set of categories begins in
    `words`, 32 in each; `child` is where a row goes that does not meet the condition, and one further if it does.
    A leaf is its own child with a threshold that no number reaches, and `leaf` is its row in `values`.

    For each tree: `counts` holds how many nodes, words and leaves it has, `depth` its levels below the root, and
    `scores` (float64 [trees, columns]) how much each column of the data has improved the fit.
    """

    column: Integers
    threshold: Floats
    missing: Mask
    words_at: Integers
    child: Integers
    leaf: Integers
    words: Integers
    values: Floats
    counts: Integers
    depth: Integers
    scores: Doubles

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def joined(cls, parts: Sequence["Forest"]) -> "Forest":
        """Return the trees of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))

    def between(self, first: int, last: int) -> "Forest":
        """Return some of the trees: from `first` on, without `last`."""
        (nodes, words, leaves), (nodes_end, words_end, leaves_end) = (
            self.counts[:end].sum(axis=0) for end in (first, last)
        )
        bounds = dict.fromkeys(_NODES, slice(nodes, nodes_end)) | dict.fromkeys(_TREES, slice(first, last))
        bounds |= {"words": slice(words, words_end), "values": slice(leaves, leaves_end)}
        return Forest(**{name: getattr(self, name)[where] for name, where in bounds.items()})

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as a checkpoint keeps them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Forest":
        """Return the forest whose `arrays` these are."""
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})


_NODES = ("column", "threshold", "missing", "words_at", "child", "leaf")
_TREES = ("counts", "depth", "scores")
