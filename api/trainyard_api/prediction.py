"""Batch scoring: what a TrainingJob does that predicts instead of training."""

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, Column, Label, rule, rules
from trainyard_api.stores import ModelUri


class PredictedModel(ApiModel):
    """Which model version predicts; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.name) != has(self.uri)", "set exactly one of name and uri"))
    )
    name: Label | None = Field(
        default=None,
        description="Name of a model in output.store, which is that of the TrainingJob that trained it unless that set "
        "modelName: its newest complete version.",
    )
    uri: ModelUri | None = Field(
        default=None,
        description="Address of a version, as in status.model.uri. One that is not on a claim is read with the "
        "credentials of output.store.",
    )


class PredictProgram(ApiModel):
    """Predictions of a data set, as Parquet files (docs/how-to/batch-scoring.md)."""

    model: PredictedModel = Field(description="Which model version predicts.")
    columns: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10000,
        description="Columns of the data to write beside the predictions, such as an id, each once; all where absent.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    rows_per_file: int = Field(
        default=1000000, ge=1, le=1000000000, description="Rows of a file of predictions at most."
    )
