"""Differentially private training of a TrainingJob."""

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, rule, rules

PRIVATE_FAMILIES = ("linear", "mlp", "svm")


class Privacy(ApiModel):
    """Differentially private stochastic gradient descent; how private is said by exactly one of two fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.noiseMultiplier) != has(self.targetEpsilon)",
                "set exactly one of noiseMultiplier and targetEpsilon",
            ),
        )
    )
    noise_multiplier: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Standard deviation of the noise, as a multiple of l2NormClip; the epsilon follows from it.",
    )
    target_epsilon: float | None = Field(
        default=None, gt=0, le=1000, description="The epsilon to end with; the noise follows from it."
    )
    l2_norm_clip: float = Field(
        default=1.0, gt=0, le=1000000, description="The largest norm of the gradient of one row; longer ones are cut."
    )
    delta: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Chance that the promise does not hold; less than 1 / training rows, and that to the power of 1.1 "
        "where absent.",
    )


PRIVACY_RULES = [
    rule(f"!has(self.privacy) || ({condition})", message, ".privacy")
    for condition, message in (
        (
            f"has(self.program.keras) && self.program.keras.family in {['auto', *PRIVATE_FAMILIES]}",
            f"only the families {', '.join(PRIVATE_FAMILIES)} can be trained privately",
        ),
        (
            "!has(self.program.keras) || self.program.keras.dropout == 0.0 && "
            "!(has(self.program.keras.normalization) && self.program.keras.normalization == 'batchNormalization')",
            "batchNormalization mixes the rows of a batch, and dropout is not possible row by row: leave them out",
        ),
        (
            "!has(self.fit.classWeights) || !self.fit.classWeights.balanced",
            "balanced class weights tell how often each class occurs: give fit.classWeights.weights instead",
        ),
        ("!has(self.data.weight)", "weights let some rows count for more than the promise allows: remove data.weight"),
        (
            "!has(self.fit.stopWhen.lossBelow) && !has(self.fit.stopWhen.noImprovement)",
            "lossBelow and noImprovement look at the data, which the epsilon would not account for: leave them out",
        ),
        (
            "(!has(self.fit.batchSize) || type(self.fit.batchSize) == int) && "
            "self.fit.precision in ['Auto', 'float32'] && !(has(self.fit.jitCompile) && self.fit.jitCompile)",
            "private steps take a number of rows, in float32 and without XLA: set fit.batchSize to a number, and leave "
            "fit.precision and fit.jitCompile out",
        ),
        ("!has(self.tuning)", "each trial of a search would spend an epsilon of its own: remove tuning or privacy"),
        (
            "self.roles.worker.replicas == 1 && self.roles.worker.gpus <= 1",
            "rows are drawn for one device: set roles.worker.replicas to 1, and gpus to at most 1",
        ),
    )
]
"""What a promise about privacy cannot be made for."""
