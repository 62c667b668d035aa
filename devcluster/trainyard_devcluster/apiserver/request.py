"""What a request's path and query mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainyard_devcluster.apiserver.errors import bad_request

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """The resource, object or subresource that a path names."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """The path behind the subresource, for proxies."""


def parse_path(path: str) -> Target | None:
    """Return what a path below /api/ or /apis/ names; None for groups, versions and unknown paths."""
    match path.strip("/").split("/"):
        case ["api", version, *tail] if tail:
            return _target("", version, tail)
        case ["apis", group, version, *tail] if tail:
            return _target(group, version, tail)
    return None


def _target(group: str, version: str, parts: list[str]) -> Target:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource, *rest = (*parts, "", "", "")[: max(len(parts), 3)]
    return Target(group, version, plural, namespace, name, subresource, "/".join(filter(None, rest)))


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean parameter."""
    return query.get(name, "").lower() in ("true", "1", "t")


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return a whole-number parameter, None where it is absent.

    Raises:
        ApiError: 400, it is no number.
    """
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'unable to convert query parameter {name}: "{text}" is not a number') from None


@dataclass(slots=True)
class WriteOptions:
    """How a write is to be done."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)
    """Filled on the way; they go into `Warning` headers."""

    @classmethod
    def of(cls, query: Mapping[str, str], agent: str, subresource: str = "") -> "WriteOptions":
        """Return the options in a query; the field manager defaults to the client's name.

        Raises:
            ApiError: 400, a parameter has a value that it cannot have.
        """
        dry_run = query.get("dryRun", "")
        if dry_run not in ("", "All"):
            raise bad_request(f'invalid dry run option: "{dry_run}"')
        validation = query.get("fieldValidation") or "Warn"
        if validation not in ("Ignore", "Warn", "Strict"):
            raise bad_request(f'invalid field validation: "{validation}"')
        manager = query.get("fieldManager") or agent.partition("/")[0][:128] or "unknown"
        return cls(manager, dry_run == "All", validation, flag(query, "force"), subresource)
