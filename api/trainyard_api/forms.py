"""What a text has to look like, in words: a regular expression is for machines, and never an answer to a person."""

from collections.abc import Mapping
from typing import Any

DURATION_PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
MILLISECONDS_PATTERN = r"^[1-9][0-9]{0,5}m?s$"
MICROSECONDS_PATTERN = "^[0-9]{1,6}(us|ms|s)$"
HOST_PATTERN = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
HTTP_PATTERN = r"^https?://[^\s@?#]+$"
NAME_LENGTH = 50
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$"
RERUN_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.:+]*[A-Za-z0-9])?$"
CRON_PATTERN = (
    r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|([-*/,0-9A-Za-z]{1,64} +){4}[-*/,0-9A-Za-z]{1,64})$"
)
TIME_ZONE_PATTERN = r"^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*$"
KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"
RESOURCE_NAME_PATTERN = r"^[-.a-z0-9]+/[-._A-Za-z0-9]+$"
RELATIVE_PATH_PATTERN = r"^([^/].*)?$"
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"
COMMIT_PATTERN = "^[0-9a-f]{40}$"
GIT_URL_PATTERN = r"^https://[^/@?#\s]+/[^@?#\s]+$"
ENTRY_POINT_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
PARAMETER_PATTERN = r"^(fit|program)(\.[A-Za-z0-9_]+)+$"
STORE_URI_PATTERN = r"^(s3|gs|abfss?|hdfs)://[^/?#]+(/[^?#]*)?$"
MODEL_URI_PATTERN = r"^(pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?|(s3|gs|abfss?|hdfs)://[^/?#]+)/[^/?#][^?#]*[0-9]/?$"

FORMS: Mapping[str, str] = {
    DURATION_PATTERN: "a duration longer than 0s, such as 90s, 30m or 1h30m",
    MILLISECONDS_PATTERN: "a time in milliseconds or seconds, such as 200ms or 1s",
    MICROSECONDS_PATTERN: "a time in microseconds, milliseconds or seconds, such as 2ms",
    HOST_PATTERN: "the name of a host, such as models.example.com or *.example.com",
    HTTP_PATTERN: "an address with http or https, without credentials and query, such as http://prometheus:9090",
    NAME_PATTERN: f"at most {NAME_LENGTH} lower case letters, digits and hyphens, starting with a letter",
    OBJECT_NAME_PATTERN: "the name of an object: lower case letters, digits, hyphens and dots",
    LABEL_VALUE_PATTERN: "the value of a label: at most 63 letters, digits, '-', '_' and '.', without spaces",
    RERUN_PATTERN: "a word without spaces, such as 2026-12-01 or build-17: letters, digits, '-', '_', '.', ':' and '+'",
    CRON_PATTERN: "minute, hour, day of the month, month and day of the week, such as 0 3 * * MON, or @daily",
    TIME_ZONE_PATTERN: "a time zone, such as Europe/Berlin",
    KEY_PATTERN: "a key, such as rows.csv: letters, digits, '-', '_' and '.'; keys have no folders",
    RESOURCE_NAME_PATTERN: "domain/name, such as nvidia.com/gpu",
    RELATIVE_PATH_PATTERN: "a path relative to the root, without / in front, such as rows/2026.csv",
    DIGEST_PATTERN: "sha256: and 64 hexadecimal digits, as in status.model.digest of a TrainingJob",
    COMMIT_PATTERN: "the 40 hexadecimal digits of a commit: git rev-parse prints them; a branch or a tag may move",
    GIT_URL_PATTERN: "the https address of a repository, without credentials or query, such as "
    "https://host.example/team/models.git",
    ENTRY_POINT_PATTERN: "a module and a function of it, such as mypackage.train:build_model",
    PARAMETER_PATTERN: "a field of fit or program, such as fit.optimizer.learningRate",
    STORE_URI_PATTERN: "a bucket and a folder with the scheme s3, gs, abfs, abfss or hdfs, such as s3://bucket/models; "
    "for a claim set persistentVolumeClaim",
    MODEL_URI_PATTERN: "the address of one version, which ends with its number, such as pvc://models/penguins/1 or "
    "s3://bucket/models/penguins/1",
}
"""What a text of each pattern is, to stand behind `expected`."""
MESSAGES: Mapping[str, str] = {pattern: f"expected {words}" for pattern, words in FORMS.items()}
_CHECKED_OTHERWISE = {DURATION_PATTERN}


def in_words(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with a rule, whose message a person can follow, in place of a pattern or the bounds of a share.

    The API server answers to a broken pattern with the pattern; kubectl prints that as it is.
    """
    found = dict(node)
    if found.get("pattern") in FORMS:
        pattern = found.pop("pattern")
        if pattern not in _CHECKED_OTHERWISE:
            found.pop("minLength", None)
            _add(found, f"self.matches({_quoted(pattern)})", MESSAGES[pattern])
    if found.get("type") == "number" and 0 < found.get("maximum", 2) <= 1 and found.get("minimum") == 0:
        least, most = found.pop("minimum"), found.pop("maximum")
        lower = ">" if found.pop("exclusiveMinimum", False) else ">="
        upper = "<" if found.pop("exclusiveMaximum", False) else "<="
        words = f"expected a number {'above' if lower == '>' else 'from'} {least} {'below' if upper == '<' else 'to'} "
        rule = f"double(self) {lower} {float(least)} && double(self) {upper} {float(most)}"
        _add(found, rule, f"{words}{_plain(most)}: write 20 % as 0.2")
    return found


def _add(node: dict[str, Any], rule: str, message: str) -> None:
    others = node.get("x-kubernetes-validations", [])
    node["x-kubernetes-validations"] = [{"rule": rule, "message": message}, *others]


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
