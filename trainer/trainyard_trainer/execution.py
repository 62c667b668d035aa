"""How training steps are computed: in which precision, and whether XLA compiles them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainyard_trainer.tensors import Model

FLOAT32, BFLOAT16, FLOAT16 = "float32", "mixed_bfloat16", "mixed_float16"


@dataclass(frozen=True, slots=True)
class Execution:
    """Names of Keras: a dtype policy, and `jit_compile`."""

    precision: str = FLOAT32
    jit_compile: bool = False

    def __str__(self) -> str:
        return f"{self.precision} {'with' if self.jit_compile else 'without'} XLA"


PLAIN = Execution()
"""How TensorFlow computes if told nothing."""


@contextmanager
def computing_in(model: Model, precision: str) -> Iterator[None]:
    """While inside, have the layers of a model compute in a precision; its variables are float32 all the time.

    So the same model is trained in one precision, and validated and exported in float32. The last layer stays in
    float32, as https://keras.io/api/mixed_precision asks for outputs that go into a loss.
    """
    if precision == FLOAT32:
        yield
        return
    import keras  # loads TensorFlow, which those who only read what was chosen can do without

    policy = keras.dtype_policies.get(precision)
    # Keras has no public way to the layers inside of layers.
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer is not model.layers[-1]]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.dtype_policy = own
