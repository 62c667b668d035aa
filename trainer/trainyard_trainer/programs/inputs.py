"""Tells a user's function what its model is given: the inputs of each kind of encoder."""

from collections.abc import Mapping

from trainyard_api.tasks import Task
from trainyard_trainer.data.images import PIXELS
from trainyard_trainer.data.labels import ClassLabels
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.encoding.images import ImageInputs
from trainyard_trainer.encoding.sounds import SPECTROGRAM, SoundInputs
from trainyard_trainer.encoding.texts import TOKENS, TextInputs
from trainyard_trainer.programs.data_spec import DataSpec, Input

AnyInputs = TableInputs | ImageInputs | TextInputs | SoundInputs


def describe_data(task: Task, facts: Profile, inputs: AnyInputs, outputs: int) -> DataSpec:
    """Return what the function is told."""
    return DataSpec(
        task=task,
        features=tuple(feature.name for feature in facts.schema.features),
        inputs=describe_inputs(inputs),
        outputs=outputs,
        classes=facts.labels.names if isinstance(facts.labels, ClassLabels) else (),
    )


def describe_inputs(inputs: AnyInputs) -> Mapping[str, Input]:
    """Return the tensors that a model is given; one of a table that has no columns is left out."""
    match inputs:
        case ImageInputs():
            return {PIXELS: Input(inputs.shape, inputs.dtype, mean=inputs.mean, deviation=inputs.deviation)}
        case TextInputs():
            return {TOKENS: Input((inputs.length,), "int32", inputs.tokens, vocabulary=inputs.vocabulary)}
        case SoundInputs():
            return {SPECTROGRAM: Input((inputs.frames, inputs.mel_bins), "float32")}
    dense = {DENSE: Input((inputs.dense,), "float32")} if inputs.dense else {}
    slots = {SLOTS: Input((len(inputs.slots),), "int32", sum(inputs.slots))} if inputs.slots else {}
    return dense | slots
