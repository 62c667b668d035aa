"""How a TrainingJob looks for its best settings."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainyard_api.forms import PARAMETER_PATTERN
from trainyard_api.meta import ApiModel, rule, rules

Algorithm = Literal["asha", "bayesian", "grid", "hyperband", "random"]
# A value as it would stand in the spec. It is a text because CEL cannot look into lists of anything.
Value = Annotated[str, Field(min_length=1, max_length=1024)]


class Parameter(ApiModel):
    """One field of the spec that changes from trial to trial: over a list of values, or over a range."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.values) ? !has(self.minValue) && !has(self.maxValue) && !has(self.step) "
                ": has(self.minValue) && has(self.maxValue)",
                "set either values, or minValue and maxValue",
            ),
            rule(
                "!has(self.minValue) || !has(self.maxValue) || self.minValue < self.maxValue",
                "minValue must be below maxValue",
            ),
            rule("self.sampling == 'linear' || !has(self.step)", "sampling log takes no step", ".step"),
            rule(
                "self.sampling == 'linear' || !has(self.minValue) || self.minValue > 0.0",
                "sampling log needs a minValue above 0",
                ".minValue",
            ),
        )
    )
    name: str = Field(
        pattern=PARAMETER_PATTERN,
        max_length=256,
        description="The field, by its path below spec, for example fit.optimizer.learningRate.",
    )
    values: list[Value] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="The values to choose from, each a text that holds what would stand in the spec, "
        'for example "relu", "0.01" or "[128, 64]".',
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    min_value: float | None = Field(default=None, description="The smallest number to try.")
    max_value: float | None = Field(default=None, description="The largest number to try.")
    step: float | None = Field(default=None, gt=0, description="Distance of two neighbouring numbers.")
    sampling: Literal["linear", "log"] = Field(
        default="linear", description="Whether sums (linear) or factors (log) between numbers count the same."
    )


class Objective(ApiModel):
    """What makes one trial better than another."""

    name: str = Field(default="val_loss", min_length=1, max_length=64, description="A metric, as in status.progress.")
    direction: Literal["max", "min"] | None = Field(
        default=None, description="Whether more or less is better; by the metric where absent."
    )


class Tuning(ApiModel):
    """A search for the best settings: many trials, of which the best one becomes the model."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.algorithm != 'grid' || self.parameters.all(p, has(p.values) || has(p.step))",
                "algorithm grid needs values, or a range with a step, for every parameter",
                ".algorithm",
            ),
        )
    )
    algorithm: Algorithm = Field(
        default="random",
        description="grid tries every combination, random draws them, bayesian draws near those that did well (TPE), "
        "hyperband and asha draw them and end early those that fall behind.",
    )
    objective: Objective = Field(default=Objective(), description="What makes one trial better than another.")
    max_trials: int = Field(default=20, ge=1, le=10000, description="Trials at most.")
    parallel_trials: int = Field(
        default=1, ge=1, le=64, description="Trials at the same time, which share the pod's CPUs, memory and GPUs."
    )
    parameters: list[Parameter] = Field(
        min_length=1,
        max_length=32,
        description="What changes from trial to trial.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
