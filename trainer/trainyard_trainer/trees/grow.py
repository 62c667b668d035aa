"""Grows trees with ydf, some rounds at a time, so that a training can be watched, stopped and resumed."""

import io
import logging
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import ydf

from trainyard_trainer.data.labels import ClassLabels, Labels, NumberLabels
from trainyard_trainer.devices import usable_cpus
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.fitting.steps import LABELS, WEIGHTS
from trainyard_trainer.tensors import Array, Arrays, Floats
from trainyard_trainer.tree_settings import TreeSettings
from trainyard_trainer.trees.flatten import flatten
from trainyard_trainer.trees.forest import Forest

_LABEL, _WEIGHT = "label", "weight"


class Interrupted(Exception):
    """ydf, which takes Ctrl-C for itself, was asked to stop."""


class Grower(Protocol):
    """Adds rounds of trees. `start` is what a boosted forest's answers are added to, and known after the first call."""

    start: Floats

    def grow(self, have: int, want: int) -> Forest:
        """Return the trees of the rounds from `have` on, without `want`.

        Raises:
            Interrupted: there are fewer than wanted.
        """

    def state(self) -> dict[str, Array]:
        """Return what a checkpoint has to keep, beside the trees, to go on from here."""

    def restore(self, state: Arrays) -> None:
        """Go on from what `state` returned."""


def grower_for(
    settings: TreeSettings,
    block: Arrays,
    inputs: TableInputs,
    *,
    labels: Labels,
    weights: Floats | None,
    seed: int,
    directions: Mapping[int, int] | None = None,
) -> Grower:
    """Return the grower for a block of encoded training rows.

    `directions` holds, by the places of columns among the dense ones, 1 where the answer may only grow with them, and
    -1 where it may only fall.
    """
    data = _Data(block, inputs, labels, weights, directions or {})
    return BoostedGrower(settings, data, seed) if settings.boosted else IndependentGrower(settings, data, seed)


class _Data:
    """The training rows as ydf takes them. Its columns are named by their number among ours."""

    def __init__(
        self,
        block: Arrays,
        inputs: TableInputs,
        kind: Labels,
        weights: Floats | None,
        directions: Mapping[int, int],
    ) -> None:
        dense, slots, labels = (np.asarray(block[name]) for name in (DENSE, SLOTS, LABELS))
        classes = [str(i) for i in range(len(kind.names))] if isinstance(kind, ClassLabels) else None
        if isinstance(kind, NumberLabels):  # as the task has it: in deviations from the mean
            labels = kind.standard(labels).astype(np.float32)
        self.features = inputs.dense + len(inputs.slots)
        self.widths = {inputs.dense + i: width for i, width in enumerate(inputs.slots)}
        self.constrained = bool(directions)
        numbers = [ydf.Column(str(i), ydf.Semantic.NUMERICAL, monotonic=directions.get(i)) for i in range(inputs.dense)]
        categories = [ydf.Column(str(i), ydf.Semantic.CATEGORICAL, is_already_integerized=True) for i in self.widths]
        label = ydf.Column(_LABEL, ydf.Semantic.CATEGORICAL if classes else ydf.Semantic.NUMERICAL)
        arrays = {str(i): np.ascontiguousarray(dense[:, i]) for i in range(inputs.dense)} | {
            str(inputs.dense + i): np.ascontiguousarray(slots[:, i]) for i in range(len(inputs.slots))
        }
        columns = [*numbers, *categories, label]
        own = block.get(WEIGHTS)
        of_class = None if weights is None else np.asarray(weights)[labels]
        both = own if of_class is None else of_class if own is None else own * of_class
        if both is not None:
            arrays[_WEIGHT] = both
            columns.append(ydf.Column(_WEIGHT, ydf.Semantic.NUMERICAL))
        # Its log, and a warning that comes with every data set made beforehand, say nothing of use here.
        ydf.verbose(0)
        logging.getLogger("absl").setLevel(logging.ERROR)
        self.rows = ydf.create_vertical_dataset(
            arrays | {_LABEL: labels},
            columns=columns,
            label=_LABEL,
            label_classes=classes,
        )
        self.learner = {
            "label": _LABEL,
            "task": ydf.Task.CLASSIFICATION if classes else ydf.Task.REGRESSION,
            "weights": _WEIGHT if both is not None else None,
            "num_threads": usable_cpus(),
        }
        self.source: Any = self.rows
        if directions:  # ydf looks for them among a learner's features, which it takes with plain arrays only
            self.source = arrays | {_LABEL: labels}
            self.learner |= {"features": [*numbers, *categories], "data_spec": self.rows.data_spec()}

    def trees(self, model: ydf.GenericModel, first: int, last: int) -> Forest:
        if model.num_trees() < last:
            raise Interrupted
        names = [each.name for each in model.data_spec().columns]
        columns = [int(name) if name.isdigit() else -1 for name in names]
        return Forest.joined(
            [flatten(model.get_tree(i).root, columns, self.widths, features=self.features) for i in range(first, last)]
        )


class BoostedGrower:
    """Each tree corrects those before it. ydf goes on from its own small checkpoint, which ours carries along."""

    def __init__(self, settings: TreeSettings, data: _Data, seed: int) -> None:
        self._settings, self._data, self._seed = settings, data, seed
        self._archive = b""
        self.start: Floats = np.zeros(0, np.float32)

    def grow(self, have: int, want: int) -> Forest:
        """Return the trees of some rounds."""
        with tempfile.TemporaryDirectory() as folder:
            _unpack(self._archive, Path(folder))
            model = self._learner(have, want, folder).train(self._data.source)
            self._archive = _pack(Path(folder))
        self.start = model.initial_predictions()
        outputs = len(self.start)
        return self._data.trees(model, have * outputs, want * outputs)

    def _learner(self, have: int, want: int, folder: str) -> ydf.GradientBoostedTreesLearner:
        wanted = self._settings
        return ydf.GradientBoostedTreesLearner(
            num_trees=want,
            max_depth=wanted.max_depth,
            min_examples=wanted.min_examples,
            shrinkage=wanted.shrinkage,
            subsample=wanted.subsample,
            l2_regularization=wanted.l2,
            use_hessian_gain=self._data.constrained,  # without, ydf takes no directions
            validation_ratio=0.0,
            early_stopping="NONE",
            random_seed=_seed(self._seed, have),
            working_dir=folder,
            resume_training=True,
            **self._data.learner,
        )

    def state(self) -> dict[str, Array]:
        """Return ydf's checkpoint and the start."""
        return {"archive": np.frombuffer(self._archive, np.uint8), "start": self.start}

    def restore(self, state: Arrays) -> None:
        """Go on from a checkpoint."""
        self._archive, self.start = state["archive"].tobytes(), state["start"]


class IndependentGrower:
    """Each tree sees its own draw of the rows and knows nothing of the others."""

    def __init__(self, settings: TreeSettings, data: _Data, seed: int) -> None:
        self._settings, self._data, self._seed = settings, data, seed
        self.start: Floats = np.zeros(1, np.float32)

    def grow(self, have: int, want: int) -> Forest:
        """Return the trees of some rounds."""
        learner = ydf.RandomForestLearner(
            num_trees=want - have,
            max_depth=self._settings.max_depth,
            min_examples=self._settings.min_examples,
            winner_take_all=False,
            compute_oob_performances=False,
            keep_non_leaf_label_distribution=False,
            random_seed=_seed(self._seed, have),
            **self._data.learner,
        )
        return self._data.trees(learner.train(self._data.rows), 0, want - have)

    def state(self) -> dict[str, Array]:
        """Return nothing: the trees say it all."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Go on from a checkpoint."""


def _seed(seed: int, first: int) -> int:
    return int(np.random.SeedSequence([seed, first]).generate_state(1)[0] >> 1)


def _pack(folder: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(folder, arcname=".")
    return stream.getvalue()


def _unpack(content: bytes, folder: Path) -> None:
    if content:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
