"""What the metrics of a model version must be like before it is served."""

import re
from typing import Literal

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, rule, rules

# As Keras names them, after val_ or not, and with the number that Keras gives the second of a kind.
_LESS = (
    "loss|.*_loss|.*error|mae|mse|rmse|mape|msle|.*crossentropy|.*divergence|.*hinge|log_?cosh|poisson|"
    "false_positives|false_negatives"
)
_MORE = (
    "acc|.*accuracy|auc|precision|.*_precision|precision_at_recall|recall|.*_recall|recall_at_precision|"
    "sensitivity_at_specificity|specificity_at_sensitivity|f1|.*f1_score|fbeta_score|.*r2_score|cosine_similarity|"
    ".*correlation|iou|.*io_u|true_positives|true_negatives"
)
_LESS_PATTERN = f"^(val_)?({_LESS})(_[0-9]+)?$"
_KNOWN_PATTERN = f"^(val_)?({_LESS}|{_MORE})(_[0-9]+)?$"

GATE_RULES = (
    rule(
        "self.gate.size() == 0 || has(self.model.fromTraining)",
        "a gate judges the metrics of TrainingJobs, and the operator reads no store: "
        "set model.fromTraining, or remove the gate",
        ".gate",
    ),
)


class GateRule(ApiModel):
    """What one metric must be like: at least one of atLeast, atMost and noWorseThanServing."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.atLeast) || has(self.atMost) || has(self.noWorseThanServing)",
                "set at least one of atLeast, atMost and noWorseThanServing",
            ),
            rule(
                "!has(self.atLeast) || !has(self.atMost) || self.atLeast <= self.atMost",
                "no number is at least atLeast and at most atMost: make atLeast the smaller one",
            ),
            rule(
                f"!has(self.noWorseThanServing) || has(self.direction) || self.metric.matches('{_KNOWN_PATTERN}')",
                "Keras has no metric of this name: say with direction (min or max) whether less or more is better",
                ".direction",
            ),
        )
    )
    metric: str = Field(
        min_length=1, max_length=64, description="Name of the metric, as in a TrainingJob's status.model.metrics."
    )
    at_least: float | None = Field(default=None, description="The smallest value that passes.")
    at_most: float | None = Field(default=None, description="The largest value that passes.")
    no_worse_than_serving: float | None = Field(
        default=None,
        ge=0,
        description="How much worse than the version that serves it may be, in the metric's own unit; 0 for not at "
        "all. Where nothing serves yet, this passes.",
    )
    direction: Literal["max", "min"] | None = Field(
        default=None,
        description="Whether more or less is better. Where absent it is known from Keras' names, such as val_loss and "
        "accuracy.",
    )

    @property
    def less_is_better(self) -> bool:
        """Whether the smaller of two values is the better one."""
        if self.direction is None:
            return re.match(_LESS_PATTERN, self.metric) is not None
        return self.direction == "min"
