"""How the manifest describes what a SavedModel takes and answers."""

from collections.abc import Mapping
from typing import TypeAlias, TypedDict


class TensorDescription(TypedDict):
    """One tensor: TensorFlow's name of its type, and its shape; a size that may be any is None."""

    dtype: str
    shape: list[int | None] | None


class SignatureDescription(TypedDict):
    """One signature: its tensors by name."""

    inputs: dict[str, TensorDescription]
    outputs: dict[str, TensorDescription]


Signatures: TypeAlias = Mapping[str, SignatureDescription]
