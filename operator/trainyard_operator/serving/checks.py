"""Golden requests: what to ask a new revision, and whether it answers as its makers expect."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard_api.checks import Check
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean

CHECK_FAILED, CHECK_INVALID, CHECKING = "CheckFailed", "CheckInvalid", "Checking"
MOST_BYTES = 64 * 1024
"""Of a request, and of what is expected."""
_MOST_DEPTH = 32
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A check as it is carried out.

    Attributes:
        body: The request, as JSON.
        expected: The answer, as JSON.
    """

    name: str
    body: str
    expected: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of all checks.

    Attributes:
        passed: Whether every answer was as expected.
        answered: Whether the server answered: if not, it may still.
        detail: What was wrong with the first that failed.
    """

    passed: bool
    answered: bool = True
    detail: str = ""


def golden_requests(
    checks: Sequence[Check], config_maps: Mapping[str, Manifest | None]
) -> tuple[GoldenRequest, ...] | Blocker:
    """Return what to ask, or what is wrong with a check.

    Args:
        checks: Those of the spec.
        config_maps: The ConfigMaps that they name; None for one that does not exist.
    """
    found = []
    for check in checks:
        request: object = check.request
        expect: object = check.expect
        where = f"spec.checks[{check.name!r}]"
        if (reference := check.config_map_key_ref) is not None:
            config_map = config_maps.get(reference.name)
            text = (config_map or {}).get("data", {}).get(reference.key)
            where = f"key {reference.key!r} of the ConfigMap {reference.name!r} of check {check.name!r}"
            if text is None:
                return Blocker(CHECK_INVALID, f"{where} does not exist; create it, or change the check")
            request, expect = _from_text(text)
        if not isinstance(request, dict) or not isinstance(expect, dict):
            return Blocker(CHECK_INVALID, f'{where}: expected JSON such as {{"request": {{..}}, "expect": {{..}}}}')
        body, expected = json.dumps(request), json.dumps(expect)
        if max(len(body), len(expected)) > MOST_BYTES:
            return Blocker(
                CHECK_INVALID, f"{where}: request and expect may have {MOST_BYTES} bytes each; use fewer rows"
            )
        found.append(GoldenRequest(check.name, body, expected, check.tolerance))
    return tuple(found)


def verdict(golden: GoldenRequest, status: int, content: bytes) -> CheckResult:
    """Return what an answer is worth."""
    said = clean(content[:4096].decode(errors="replace"), 300)
    name = f"check {golden.name!r}"
    if status in (429, 503, 504):
        return CheckResult(False, answered=False, detail=f"{name} got HTTP {status}: {said}")
    if status != 200:
        return CheckResult(False, detail=f"{name} expected an answer, got HTTP {status}: {said}")
    try:
        answer = json.loads(content)
        difference = _difference(json.loads(golden.expected), answer, golden.tolerance, "", _MOST_DEPTH)
    except (ValueError, RecursionError):
        return CheckResult(False, detail=f"{name} expected JSON, got {said}")
    return CheckResult(False, detail=f"{name}: {difference}") if difference else CheckResult(True)


def blocker(result: CheckResult, pod: str) -> Blocker | None:
    """Return what keeps a revision from traffic after its checks, if anything does."""
    if result.passed:
        return None
    if not result.answered:
        return Blocker(CHECKING, f"pod {pod} has not answered its checks yet: {result.detail}", transient=True)
    return Blocker(
        CHECK_FAILED,
        f"pod {pod} gets no traffic, because it answers wrongly: {result.detail}; "
        "train a better version, or change the check in spec.checks",
    )


def _from_text(text: str) -> tuple[object, object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    return (content.get("request"), content.get("expect")) if isinstance(content, dict) else (None, None)


def _difference(expected: Any, got: Any, tolerance: float, path: str, depth: int) -> str | None:
    """Return where an answer differs from what was expected, by the path of the first such place."""
    if depth == 0:
        return f"at {path or 'the top'}: more than {_MOST_DEPTH} levels are not compared"
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            if key not in got:
                return f"expected {path}.{key}, got {', '.join(sorted(map(clean, got)))[:_SHOWN] or 'nothing'}"
            if found := _difference(value, got[key], tolerance, f"{path}.{key}", depth - 1):
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"at {path}: expected {len(expected)} values, got {len(got)}"
        pairs = enumerate(zip(expected, got, strict=True))
        differences = (_difference(a, b, tolerance, f"{path}[{n}]", depth - 1) for n, (a, b) in pairs)
        return next(filter(None, differences), None)
    if _is_number(expected) and _is_number(got):
        if _near(expected, got, tolerance):
            return None
        return f"at {path}: expected {expected:g} (within {tolerance:g}), got {got:g}"
    if type(expected) is type(got) and expected == got:
        return None
    return f"at {path or 'the top'}: expected {_shown(expected)}, got {_shown(got)}"


def _near(expected: float, got: float, tolerance: float) -> bool:
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    return expected == got or abs(expected - got) <= tolerance


def _is_number(value: object) -> bool:
    # Integers of any size cannot be compared with floats.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, float) or abs(value) < 2**63)
    )


def _shown(value: object) -> str:
    return clean(json.dumps(value)[: 4 * _SHOWN], _SHOWN)
