"""Where data is read from and models are kept: URIs, and the Secrets that open them."""

from typing import Annotated

from pydantic import Field

from trainyard_api.forms import MODEL_URI_PATTERN, STORE_URI_PATTERN
from trainyard_api.meta import ApiModel, Name, rule, rules

_AUTHORITY = "^[a-z]+://[^/]*"
# Words by which a web server's signed links and keys are known.
_SIGNATURE = "(?i)[?&][^=&]*(sig|token|key|secret|passw|credential|auth)[^=&]*="
_NO_SECRETS = "the spec is no place for credentials: put them into a Secret and name it in secretRef"

_SAFE = (
    rule(
        f"!self.matches('{_AUTHORITY}:[^/]*@') && !self.matches('^(s3|gs|https?)://[^/]*@') "
        f"&& !self.matches('{_SIGNATURE}')",
        _NO_SECRETS,
    ),
    rule("!('/' + self + '/').contains('/../')", "write where the path leads: remove '..'"),
)

DataUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        json_schema_extra=rules(
            rule(
                "!self.contains('://') || self.matches('^(file:///|(s3|gs|abfss?|https?|hdfs|s?webhdfs)://[^/?#])')",
                "expected a path, or a URI of a file or folder with the scheme file, s3, gs, abfs, abfss, http, https, "
                "hdfs, webhdfs or swebhdfs",
            ),
            rule("!self.contains('?') || self.matches('^https?://')", "only http and https URIs have a query"),
            *_SAFE,
        ),
    ),
]

StoreUri = Annotated[
    str,
    Field(
        pattern=STORE_URI_PATTERN,
        min_length=1,
        max_length=900,
        json_schema_extra=rules(*_SAFE),
    ),
]

ModelUri = Annotated[
    str,
    Field(
        pattern=MODEL_URI_PATTERN,
        max_length=1024,
        json_schema_extra=rules(*_SAFE),
    ),
]


class SecretRef(ApiModel):
    """A Secret in the same namespace, whose keys the pod sees as files."""

    name: Name = Field(description="Name of the Secret.")
