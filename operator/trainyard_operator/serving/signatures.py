"""Signatures of models: whether what clients send to the version that serves still fits the new one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from trainyard_api.tensorflow_serving_pb2 import (
    DataType,
    GetModelMetadataResponse,
    SignatureDef,
    SignatureDefMap,
    TensorInfo,
)
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean

SIGNATURE_FIELD = "signature_def"
"""The one kind of metadata that TensorFlow Serving has."""
SIGNATURE_CHANGED, SIGNATURE_UNKNOWN = "SignatureChanged", "SignatureUnknown"
_INITIALIZATION = "__saved_model_init_op"
"""TensorFlow's own, which nobody calls."""
_ANY = -1
_TYPES = {number: name.removeprefix("DT_").lower() for name, number in DataType.items()}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a signature; a shape of None is any, and so is a dimension of -1."""

    dtype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"{self.dtype} {'of any shape' if self.shape is None else list(self.shape)}"


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """One signature of a model."""

    inputs: Mapping[str, TensorSpec] = field(default_factory=dict)
    outputs: Mapping[str, TensorSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSignatures:
    """What a pod says of its model; `problem` instead, where it said nothing of use."""

    signatures: Mapping[str, ModelSignature] = field(default_factory=dict)
    problem: str = ""


def answer(response: GetModelMetadataResponse) -> ModelSignatures:
    """Return the signatures in a response."""
    try:
        definitions = SignatureDefMap.FromString(response.metadata[SIGNATURE_FIELD].value).signature_def
    except DecodeError:
        return ModelSignatures(problem="its answer is no metadata of a model")
    found = {clean(name, 80): _signature(entry) for name, entry in definitions.items() if name != _INITIALIZATION}
    return ModelSignatures(found) if found else ModelSignatures(problem="it has none")


def changed(serving: ModelSignatures, new: ModelSignatures) -> str | None:
    """Return what clients of the version that serves would stumble over, or None."""
    for name, old in serving.signatures.items():
        if name not in new.signatures:
            return f"signature {name!r} is missing; it has {_names(new.signatures)}"
        if found := next(_differences(old, new.signatures[name]), None):
            return f"signature {name!r}: {found}"
    return None


def blocker(serving: ModelSignatures, new: ModelSignatures, *, old_title: str, new_title: str) -> Blocker | None:
    """Return what keeps a new version from the traffic because of its signatures, if anything does."""
    lift = "set spec.model.allowSignatureChange, if your clients are prepared for any"
    for title, found in ((old_title, serving), (new_title, new)):
        if found.problem:
            return Blocker(
                SIGNATURE_UNKNOWN, f"the signatures of {title} are not known: {found.problem}; {lift}", transient=True
            )
    difference = changed(serving, new)
    if difference is None:
        return None
    return Blocker(
        SIGNATURE_CHANGED,
        f"clients of {old_title}, which serves, would fail with {new_title}: {difference}; "
        f"export a model with the same signatures, or {lift}",
    )


def _differences(old: ModelSignature, new: ModelSignature) -> Iterator[str]:
    if missing := old.inputs.keys() - new.inputs.keys():
        yield f"input {min(missing)!r} is missing; the inputs are {_names(new.inputs)}"
    if added := new.inputs.keys() - old.inputs.keys():
        yield f"input {min(added)!r} is new, and nobody sends it"
    for name, tensor in sorted(old.inputs.items()):
        there = new.inputs.get(name)
        if there and (tensor.dtype != there.dtype or _is_narrower(there.shape, tensor.shape)):
            yield f"input {name!r} was {tensor}, and is {there}"
    if missing := old.outputs.keys() - new.outputs.keys():
        yield f"output {min(missing)!r} is missing; the outputs are {_names(new.outputs)}"
    for name, tensor in sorted(old.outputs.items()):
        there = new.outputs.get(name)
        if there and tensor.dtype != there.dtype:
            yield f"output {name!r} was {tensor}, and is {there}"


def _is_narrower(new: tuple[int, ...] | None, old: tuple[int, ...] | None) -> bool:
    """Return whether a shape refuses what another takes."""
    if new is None:
        return False
    if old is None or len(new) != len(old):
        return True
    return any(one not in (_ANY, other) for one, other in zip(new, old, strict=True))


def _signature(entry: SignatureDef) -> ModelSignature:
    inputs, outputs = (
        {clean(name, 80): _tensor(info) for name, info in part.items()} for part in (entry.inputs, entry.outputs)
    )
    return ModelSignature(inputs, outputs)


def _tensor(info: TensorInfo) -> TensorSpec:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dimension.size for dimension in shape.dim)
    return TensorSpec(_TYPES.get(info.dtype, f"type {info.dtype}"), sizes)


def _names(mapping: Mapping[str, object]) -> str:
    return clean(", ".join(sorted(mapping)), 200) or "none"
