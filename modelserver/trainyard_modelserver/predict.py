"""Prediction on a loaded model: what both protocols have in common."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .batching import Batcher
from .errors import Code, ServingError, invalid_argument
from .metrics import Metrics
from .model import DEFAULT_SIGNATURE, Model

_METHODS: Final = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name and what produced them."""

    signature_name: str
    version: int
    outputs: Mapping[str, Any]


class Predictor:
    """Runs signatures and measures the runs."""

    def __init__(self, metrics: Metrics, *, check_method_name: bool = False, batcher: Batcher | None = None) -> None:
        self._metrics = metrics
        self._batcher = batcher
        self._check_method_name = check_method_name

    def predict(
        self,
        model: Model,
        model_name: str,
        signature_name: str,
        inputs: Mapping[str, Any],
        *,
        to_array: Callable[[Any], Any] | None = None,
        output_filter: Sequence[str] = (),
        timed: bool = False,
    ) -> Prediction:
        """Run a signature (empty name: the default one) on arrays by input name, or on what `to_array` makes one of.

        `timed` puts the REST timeout on the run. Raises ServingError.
        """
        name = signature_name or DEFAULT_SIGNATURE
        signature = model.signatures.get(name)
        if signature is None:
            raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        if self._check_method_name and signature.method_name not in _METHODS:
            raise ServingError(
                Code.INTERNAL,
                f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. "
                f"Was: {signature.method_name}",
            )
        _check_inputs(signature, inputs)
        arrays = _arrays(inputs, to_array)
        fetched = _outputs(signature, output_filter)
        feeds = {signature.inputs[alias].name: array for alias, array in arrays.items()}
        started = time.perf_counter_ns()
        names = [signature.outputs[alias].name for alias in fetched]
        # A choice of outputs is no signature, and those alone are batched.
        if self._batcher is not None and len(fetched) == len(signature.outputs):
            results = self._batcher.run(model, feeds, names, timed=timed)
        else:
            results = model.run(feeds, names, timed=timed)
        spent = (time.perf_counter_ns() - started) // 1000
        self._metrics.runtime_latency.add(spent, model_name, "Predict", "TF1")
        self._metrics.graph_runs.add()
        self._metrics.graph_run_time.add(by=spent)
        self._metrics.session_runs.add()
        return Prediction(name, model.version, dict(zip(fetched, results, strict=True)))


def _check_inputs(signature: Any, given: Iterable[str]) -> None:
    names, expected = frozenset(given), frozenset(signature.inputs)
    if len(names) != len(expected):
        raise invalid_argument(
            f"input size does not match signature: {len(names)}!={len(expected)} len({_set(names)}) != "
            f"len({_set(expected)}). Sent extra: {_set(names - expected)}. "
            f"Missing but required: {_set(expected - names)}."
        )
    for alias in sorted(names - expected):
        raise invalid_argument(
            f"input tensor alias not found in signature: {alias}. Inputs expected to be in the set {_set(expected)}."
        )


def _arrays(inputs: Mapping[str, Any], to_array: Callable[[Any], Any] | None) -> dict[str, Any]:
    if to_array is None:
        return {alias: inputs[alias] for alias in sorted(inputs)}
    arrays = {}
    for alias in sorted(inputs):
        try:
            arrays[alias] = to_array(inputs[alias])
        except (ValueError, OverflowError, MemoryError) as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    return arrays


def _outputs(signature: Any, output_filter: Sequence[str]) -> list[str]:
    """The outputs asked for, in order; all of them where nothing was asked for."""
    if not output_filter:
        return sorted(signature.outputs)
    seen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return seen


def _set(names: Iterable[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"
