"""What both resources share: names, the base model, conditions and Kubernetes' little formats."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trainyard_api.forms import (
    DURATION_PATTERN,
    LABEL_VALUE_PATTERN,
    MESSAGES,
    NAME_LENGTH,
    NAME_PATTERN,
    OBJECT_NAME_PATTERN,
    RELATIVE_PATH_PATTERN,
    RESOURCE_NAME_PATTERN,
)
from trainyard_api.quantities import EXPONENT_PATTERN, parse_quantity

GROUP = "trainyard.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


class ApiModel(BaseModel):
    """Base of every API type: camelCase on the wire, immutable in memory.

    Unknown fields are ignored, so that an operator older than the CRD keeps working; the API server rejects or prunes
    them, and the trainer's command line forbids them.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form: camelCase keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rule(expression: str, message: str, field_path: str | None = None) -> dict[str, str]:
    """Return one CEL rule in the form of `x-kubernetes-validations`."""
    return {"rule": expression, "message": message} | ({"fieldPath": field_path} if field_path else {})


def rules(*validations: dict[str, str]) -> dict[str, Any]:
    """Return the `json_schema_extra` that attaches CEL rules to a model."""
    return {"x-kubernetes-validations": list(validations)}


def parse_duration(text: str) -> int:
    """Return the seconds in a duration such as `90s`, `15m` or `1h30m`.

    Raises:
        ValueError: the text is not a duration of that form, or is empty.
    """
    match = _DURATION.match(text)
    if not text or match is None:
        raise ValueError(f"expected a duration such as 90s, 15m or 1h30m, got {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


# The names of Services and of a Job's pods are built from the resource's name, and those end at 63 characters.
NAME_RULE = rule(
    f"self.metadata.name.size() <= {NAME_LENGTH} && self.metadata.name.matches('{NAME_PATTERN}')",
    f"metadata.name must be at most {NAME_LENGTH} lower case letters, digits and hyphens, starting with a letter",
    ".metadata.name",
)

Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        max_length=32,
        # In one rule, so that a text that is no duration gets one answer, and not that of the parser.
        json_schema_extra=rules(
            rule(
                f"self.size() > 1 && self.matches('{DURATION_PATTERN}') && duration(self) > duration('0s')",
                MESSAGES[DURATION_PATTERN],
            )
        ),
    ),
]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Name = Annotated[str, Field(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=253)]
Label = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=NAME_LENGTH)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE_PATTERN, max_length=63)]
RelativePath = Annotated[
    str,
    Field(
        pattern=RELATIVE_PATH_PATTERN,
        max_length=1024,
        json_schema_extra=rules(
            rule("!('/' + self + '/').contains('/../')", "the path must stay inside the volume: remove '..'")
        ),
    ),
]
Column = Annotated[str, Field(min_length=1, max_length=256)]
ResourceName = Annotated[str, Field(pattern=RESOURCE_NAME_PATTERN, max_length=128)]

# A structural schema says nothing of keys, so rules do; validators say the same where an older CRD is installed.
_NAME_PART = "[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
LABEL_KEY_PATTERN = f"^([a-z0-9]([-.a-z0-9]{{0,251}}[a-z0-9])?/)?{_NAME_PART}$"
# Kubernetes takes prefixes of annotations in any case.
ANNOTATION_KEY_PATTERN = f"^([A-Za-z0-9]([-.A-Za-z0-9]{{0,251}}[A-Za-z0-9])?/)?{_NAME_PART}$"
_KEY_FORM = "at most 63 letters, digits, '-', '_' and '.', after a domain and '/' or not, such as example.com/team"


def key_rule(what: str, pattern: str) -> dict[str, str]:
    """Return the CEL rule that every key of a map fits a pattern."""
    return rule(f"self.all(key, key.matches('{pattern}'))", f"keys of {what} have {_KEY_FORM}")


def _key(pattern: str) -> AfterValidator:
    def check(key: str) -> str:
        if re.fullmatch(pattern, key) is None:
            raise ValueError(f"expected {_KEY_FORM}")
        return key

    return AfterValidator(check)


# Older kubelets take a container's confinement from these (https://kubernetes.io/docs/tutorials/security/apparmor).
_CONFINEMENT_PATTERN = "(?i)^(container[.])?(apparmor[.]security[.]beta|seccomp[.]security[.]alpha)[.]kubernetes[.]io/"
_CONFINED = "annotations for AppArmor and seccomp are the operator's: leave them out"


def _leaves_confinement_alone(key: str) -> str:
    if re.match(_CONFINEMENT_PATTERN, key):
        raise ValueError(_CONFINED)
    return key


LabelKey = Annotated[str, _key(LABEL_KEY_PATTERN)]
AnnotationKey = Annotated[str, _key(ANNOTATION_KEY_PATTERN), AfterValidator(_leaves_confinement_alone)]


LABEL_KEYS = key_rule("labels", LABEL_KEY_PATTERN)
ANNOTATION_KEYS = key_rule("annotations", ANNOTATION_KEY_PATTERN)
CONFINEMENT_ANNOTATIONS = rule(f"self.all(key, !key.matches('{_CONFINEMENT_PATTERN}'))", _CONFINED)


def _quantity(value: int | str) -> int | str:
    parse_quantity(value)
    return value


# A pattern would be the answer to 16GB. The rule is the map's: at a number or text itself the API server takes `self`
# and `int` to be as long as a request, and refuses a definition whose rules may cost that much. Each end is a literal
# of its own for the same reason: the elements of a list have no known length.
_ENDS = " || ".join(f"self[name].endsWith('{end}')" for end in "0123456789.numkMGTPEi")
_AMOUNTS_RULE = rule(
    f"self.all(name, type(self[name]) == int || self[name] >= '.' && self[name] < ':' && ({_ENDS}))",
    "expected quantities such as 500m, 2, 16G or 16Gi: one number and its unit, without a space or a B at the end",
)

Quantities = Annotated[
    dict[
        LabelKey,
        Annotated[
            Annotated[int, Field(ge=0, le=10**15)] | Annotated[str, Field(pattern=EXPONENT_PATTERN, max_length=32)],
            AfterValidator(_quantity),
        ],
    ],
    Field(max_length=32, json_schema_extra=rules(key_rule("resources", LABEL_KEY_PATTERN), _AMOUNTS_RULE)),
]


class Condition(ApiModel):
    """One observation about a resource, as in `metav1.Condition`."""

    type: str = Field(max_length=316, description="What is observed, for example Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        max_length=1024,
        description="Why, as one CamelCase word that programs may compare.",
    )
    message: str = Field(default="", max_length=32768, description="Why, for a person, with what to change.")
    last_transition_time: Time = Field(description="When the status last changed (RFC 3339).")
    observed_generation: int = Field(default=0, description="The generation of the spec this was observed of.")


Conditions = Annotated[
    list[Condition],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
