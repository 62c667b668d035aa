"""Types of arrays, tensors and models.

TensorFlow and Keras ship no types that hold, so what they return is unchecked. These protocols say what the trainer
uses of them. Between our own functions they are checked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""An array of any type of numbers, or of objects."""
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.integer[Any]]
Mask: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]

Arrays: TypeAlias = Mapping[str, Array]
"""Arrays by name, with one entry a row."""
Samples: TypeAlias = tuple[Mapping[str, list[Any]], Arrays]
"""Some rows twice: as a client sends them, and as the data side delivers them."""
Total: TypeAlias = Array | np.floating[Any] | float
Totals: TypeAlias = Mapping[str, Total]
"""What was added up over rows: a number, or several of them, by name."""


class DType(Protocol):
    """A tensor's type of numbers."""

    @property
    def name(self) -> str:
        """What TensorFlow calls it."""

    @property
    def size(self) -> int:
        """Bytes of a number."""

    @property
    def is_floating(self) -> bool:
        """Whether it holds fractions."""

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers."""

    @property
    def as_numpy_dtype(self) -> type[np.generic]:
        """The same in numpy."""


class Shape(Protocol):
    """A tensor's shape; a size that is not known is None."""

    def __getitem__(self, key: int | slice, /) -> Any: ...

    def __iter__(self) -> Iterator[int | None]: ...

    def __len__(self) -> int: ...

    def as_list(self) -> list[int | None]:
        """Return the sizes."""


class Tensor(Protocol):
    """A tensor of TensorFlow, eager or in a graph."""

    @property
    def shape(self) -> Any:
        """Its shape."""

    @property
    def dtype(self) -> Any:
        """Its type of numbers."""

    def numpy(self) -> Any:
        """Return an eager tensor's array, or number."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array: ...

    def __getitem__(self, key: Any, /) -> "Tensor": ...

    def __add__(self, other: Any, /) -> "Tensor": ...

    def __radd__(self, other: Any, /) -> "Tensor": ...

    def __sub__(self, other: Any, /) -> "Tensor": ...

    def __rsub__(self, other: Any, /) -> "Tensor": ...

    def __mul__(self, other: Any, /) -> "Tensor": ...

    def __rmul__(self, other: Any, /) -> "Tensor": ...

    def __truediv__(self, other: Any, /) -> "Tensor": ...

    def __rtruediv__(self, other: Any, /) -> "Tensor": ...

    def __floordiv__(self, other: Any, /) -> "Tensor": ...

    def __mod__(self, other: Any, /) -> "Tensor": ...

    def __neg__(self) -> "Tensor": ...

    def __eq__(self, other: object, /) -> "Tensor":  # type: ignore[override]
        """Compare number by number."""

    def __ne__(self, other: object, /) -> "Tensor":  # type: ignore[override]
        """Compare number by number."""

    def __bool__(self) -> bool: ...

    def __int__(self) -> int: ...

    def __float__(self) -> float: ...

    def __len__(self) -> int: ...

    def __lt__(self, other: Any, /) -> "Tensor": ...

    def __le__(self, other: Any, /) -> "Tensor": ...

    def __gt__(self, other: Any, /) -> "Tensor": ...

    def __ge__(self, other: Any, /) -> "Tensor": ...


Tensors: TypeAlias = Mapping[str, Tensor]
"""Tensors by name, with one entry a row."""


class TensorSpec(Protocol):
    """What a tensor of a signature looks like."""

    @property
    def shape(self) -> Any:
        """Its shape."""

    @property
    def dtype(self) -> Any:
        """Its type of numbers."""


class Variable(Protocol):
    """A variable of Keras."""

    @property
    def path(self) -> str:
        """Its name, with those of the layers that it is in."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> str:
        """Its type of numbers."""

    @property
    def value(self) -> Any:
        """The variable of TensorFlow behind it."""

    def assign(self, value: Any) -> Any:
        """Set it."""

    def numpy(self) -> Any:
        """Return its array, or number."""


class Layer(Protocol):
    """A layer of Keras."""

    name: str
    trainable: bool
    dtype_policy: Any

    @property
    def variables(self) -> Sequence[Variable]:
        """All that it keeps."""


class Model(Protocol):
    """What trains and answers like a model of Keras."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def layers(self) -> Sequence[Any]:
        """Its layers, without those inside of layers."""

    @property
    def variables(self) -> Sequence[Variable]:
        """All variables, those of random generators too."""

    @property
    def weights(self) -> Sequence[Variable]:
        """Variables that are saved."""

    @property
    def trainable_variables(self) -> Sequence[Variable]:
        """Variables that steps change."""

    @property
    def non_trainable_variables(self) -> Sequence[Variable]:
        """Variables that layers change by themselves, or nobody does."""

    @property
    def losses(self) -> Sequence[Tensor]:
        """What layers add to the loss."""

    def __call__(self, inputs: Any, /, *, training: bool = False) -> Any:
        """Return the outputs for a batch."""

    def _flatten_layers(self, include_self: bool = True) -> Sequence[Layer]:
        """Return all layers, those inside of layers too: Keras has no public way to them."""

    def get_weights(self) -> list[Array]:
        """Return copies of the weights."""

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set the weights."""

    def count_params(self) -> int:
        """Return how many numbers its weights are."""


class Optimizer(Protocol):
    """An optimizer of Keras."""

    @property
    def variables(self) -> Sequence[Variable]:
        """All that it keeps."""

    @property
    def iterations(self) -> Variable:
        """How many steps it has done."""

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step."""

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradients it takes."""

    def apply(self, gradients: Sequence[Tensor | None], variables: Sequence[Variable]) -> None:
        """Do a step."""


class Strategy(Protocol):
    """A strategy of tf.distribute."""

    @property
    def num_replicas_in_sync(self) -> int:
        """Replicas that train one batch together."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which variables are to be made."""

    def run(self, replica: Callable[[], Any]) -> Any:
        """Run a function on each replica."""

    def experimental_local_results(self, value: Any) -> tuple[Tensor, ...]:
        """Return the values of this process' replicas."""
