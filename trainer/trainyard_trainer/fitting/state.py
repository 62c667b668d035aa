"""All numbers a training changes: weights, random states and the optimizer's memory, and a copy of the best weights."""

from collections.abc import Sequence

from trainyard_trainer.tensors import Array, Arrays, Model, Optimizer, Variable

_BEST = "best/"


class ModelState:
    """Reads and writes the variables of a model and its optimizer. Keras decides their order, from the architecture."""

    def __init__(self, model: Model, optimizer: Optimizer, further: Sequence[Variable] = ()) -> None:
        # `variables` is more than `weights`: it has the states of dropout's random generators too.
        self._variables = {f"model/{i}": variable for i, variable in enumerate(model.variables)}
        self._variables |= {f"optimizer/{i}": variable for i, variable in enumerate(optimizer.variables)}
        self._variables |= {f"further/{i}": variable for i, variable in enumerate(further)}
        self._weights = list(model.weights)
        self._optimizer = optimizer
        self._best: list[Array] = []

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        rate = self._optimizer.learning_rate  # a variable, or what a schedule says
        return float(_copy(rate) if hasattr(rate, "assign") else rate)

    def arrays(self) -> dict[str, Array]:
        """Return copies of everything."""
        best = {f"{_BEST}{i}": weight for i, weight in enumerate(self._best)}
        return {name: _copy(variable) for name, variable in self._variables.items()} | best

    def restore(self, arrays: Arrays) -> None:
        """Set everything to what `arrays` returned."""
        for name, variable in self._variables.items():
            variable.assign(arrays[name])
        kept = sum(name.startswith(_BEST) for name in arrays)
        self._best = [arrays[f"{_BEST}{i}"] for i in range(kept)]

    def keep_best(self) -> None:
        """Copy the weights as the best so far."""
        self._best = [_copy(weight) for weight in self._weights]

    def restore_best(self) -> bool:
        """Set the weights to the best ones; returns whether there are any."""
        for variable, value in zip(self._weights, self._best, strict=False):
            variable.assign(value)
        return bool(self._best)


def _copy(variable: Variable) -> Array:
    return variable.value.read_value().numpy()
