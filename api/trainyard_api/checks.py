"""Golden requests: what a new revision must answer before it gets any traffic."""

from typing import Any

from pydantic import ConfigDict, Field

from trainyard_api.forms import KEY_PATTERN
from trainyard_api.meta import ApiModel, Label, Name, rule, rules


class KeyReference(ApiModel):
    """A key of a ConfigMap or Secret in the same namespace."""

    name: Name = Field(description="Name of the ConfigMap or Secret.")
    key: str = Field(pattern=KEY_PATTERN, max_length=253, description="Its key.")


class Check(ApiModel):
    """One request, and what must be answered: request and expect, or configMapKeyRef."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.request) == has(self.expect) && has(self.request) != has(self.configMapKeyRef)",
                "set request and expect, or configMapKeyRef",
            )
        )
    )
    name: Label = Field(description="What the check is called in messages.")
    request: dict[str, Any] | None = Field(
        default=None,
        description='The body that is posted to /v1/models/<name>:predict, such as {"instances": [{"x": 1}]}.',
    )
    expect: dict[str, Any] | None = Field(
        default=None,
        description='The answer, such as {"predictions": [0.5]}. Further keys of an answer are not compared.',
    )
    config_map_key_ref: KeyReference | None = Field(
        default=None, description="A key of a ConfigMap, whose text is JSON with the fields request and expect."
    )
    tolerance: float = Field(
        default=0.0001, ge=0, description="How far a number may be from the expected one; texts must be the same."
    )
