"""What the trials differ in: the parameters of a search, and the spec that a choice of them makes."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from trainyard_api.crd import RESOURCES, crd
from trainyard_api.trainingjob import TrainingJob
from trainyard_api.tuning import Parameter
from trainyard_trainer.errors import BadInput
from trainyard_trainer.spec import parse_job
from trainyard_trainer.tasks.metrics import possible_metrics

ChosenValue: TypeAlias = str | float
"""A number, or the text that stands for a value of the spec."""
Choice: TypeAlias = Mapping[str, ChosenValue]
"""A value for each parameter."""


class SearchSpace:
    """All the specs that a search may try, and in `metrics` the names of what their trials may report.

    Raises:
        BadInput: a parameter names no field of the spec, or a value that the field does not take.
    """

    def __init__(self, job: TrainingJob) -> None:
        assert job.spec.tuning is not None
        self._document = job.to_wire()
        del self._document["spec"]["tuning"]
        self._parameters = {parameter.name: parameter for parameter in job.spec.tuning.parameters}
        self.distributions: dict[str, BaseDistribution] = {
            name: _distribution(parameter) for name, parameter in self._parameters.items()
        }
        self.metrics = tuple(dict.fromkeys(metric for trial in self._jobs() for metric in possible_metrics(trial)))

    def job(self, choice: Choice, *, rules: bool = True) -> TrainingJob:
        """Return the job of one trial; without `rules`, whether the values go together is not looked at.

        Raises:
            BadInput: a value is wrong, or these values do not go together.
        """
        document = json.loads(json.dumps(self._document))
        for name, value in choice.items():
            *parents, field = name.split(".")
            part = document["spec"]
            for parent in parents:
                part = part.setdefault(parent, {})
            part[field] = self.value(name, value)
        return parse_job(document, rules=rules)

    def value(self, name: str, chosen: ChosenValue) -> object:
        """Return what a chosen value is in the spec."""
        return yaml.safe_load(str(chosen)) if self._parameters[name].values else chosen

    def key(self, choice: Choice) -> str:
        """Return what only choices that make the same spec have in common, however their values are written."""
        return json.dumps({name: _plain(self.value(name, each)) for name, each in choice.items()}, sort_keys=True)

    @property
    def size(self) -> int | None:
        """How many different trials there are; nothing where there is no end of them."""
        counts = [self._count(name, each) for name, each in self.distributions.items()]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def _count(self, name: str, distribution: BaseDistribution) -> int | None:
        if isinstance(distribution, CategoricalDistribution):
            return len({self.key({name: value}) for value in _points(distribution)})
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        if distribution.step is None:
            return None if distribution.low < distribution.high else 1
        return round((distribution.high - distribution.low) / distribution.step) + 1

    def grid(self) -> Iterator[dict[str, ChosenValue]]:
        """Yield every combination of values."""
        names = list(self._parameters)
        for values in itertools.product(*(_points(self.distributions[name]) for name in names)):
            yield dict(zip(names, values, strict=True))

    def _jobs(self) -> Iterator[TrainingJob]:
        """Yield the job as it is, and with each value of each parameter, or with both ends of its range."""
        yield self.job({}, rules=False)
        for name in self._parameters:
            for value in _ends(self.distributions[name]):
                yield self._with(name, value)

    def _with(self, name: str, value: ChosenValue) -> TrainingJob:
        try:
            # Values may only go together with those of other parameters: a trial in which they do not fails alone.
            return self.job({name: value}, rules=False)
        except BadInput as error:
            raise BadInput(f"tuning.parameters {name} with value {value}: {error}") from error
        except yaml.YAMLError as error:
            raise BadInput(f"tuning.parameters {name}: expected a value of the spec, got {value!r}") from error


def _plain(value: object) -> object:
    """Return a number without what floating point adds to it."""
    return float(f"{value:.12g}") if isinstance(value, int | float) and not isinstance(value, bool) else value


def _distribution(parameter: Parameter) -> CategoricalDistribution | IntDistribution | FloatDistribution:
    if parameter.values:
        return CategoricalDistribution(parameter.values)
    assert parameter.min_value is not None
    assert parameter.max_value is not None
    low, high, step, log = parameter.min_value, parameter.max_value, parameter.step, parameter.sampling == "log"
    if _is_integer(parameter.name):
        if not all(number is None or number.is_integer() for number in (low, high, step)):
            raise BadInput(f"tuning.parameters {parameter.name}: expected whole numbers for a field that holds them")
        low, high, step = int(low), int(high), int(step or 1)
        return IntDistribution(low, low + (high - low) // step * step, log=log, step=step)
    high = high if step is None else low + math.floor((high - low) / step + 1e-9) * step
    return FloatDistribution(low, high, log=log, step=step)


def _is_integer(name: str) -> bool:
    resource = next(resource for resource in RESOURCES if resource.model is TrainingJob)
    schema = crd(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for part in name.split("."):
        schema = schema.get("properties", {}).get(part, {})
    return schema.get("type") == "integer" or bool(schema.get("x-kubernetes-int-or-string"))


def _ends(distribution: BaseDistribution) -> Sequence[ChosenValue]:
    """Return all values, or both ends of a range."""
    if isinstance(distribution, CategoricalDistribution):
        return _points(distribution)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low, distribution.high


def _points(distribution: BaseDistribution) -> Sequence[ChosenValue]:
    if isinstance(distribution, CategoricalDistribution):
        return [str(choice) for choice in distribution.choices]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    step = distribution.step or 1
    count = round((distribution.high - distribution.low) / step) + 1
    return [distribution.low + index * step for index in range(count)]
