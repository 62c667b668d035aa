"""The resources that are served, built-in and custom."""

from collections.abc import Iterable, Iterator

from trainyard_devcluster.apiserver.resource import Resource

ResourceKey = tuple[str, str, str]
"""Group, version and plural."""


class Registry:
    """Resources by group, version and plural, in the order in which discovery lists them."""

    def __init__(self, builtin: Iterable[Resource]) -> None:
        self._builtin = tuple(builtin)
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self._index: dict[ResourceKey, Resource] = {}
        self.changes = 0
        """Counts changes, for whoever keeps something made from the resources."""
        self._rebuild()

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._index.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource served under a path."""
        return self._index.get((group, version, plural))

    def of_kind(self, group: str, kind: str) -> Resource | None:
        """Return the resource of a kind, in its preferred version."""
        return next((each for each in self if each.group == group and each.kind == kind), None)

    def group_versions(self) -> dict[str, list[str]]:
        """Return the versions of every group, preferred first."""
        found: dict[str, list[str]] = {}
        for resource in self:
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return found

    def within(self, group: str, version: str) -> list[Resource]:
        """Return the resources of a group version."""
        return [each for each in self if each.group == group and each.version == version]

    def set_custom(self, definition: str, resources: Iterable[Resource]) -> None:
        """Serve the resources of a definition, in place of those it had before."""
        self._custom[definition] = tuple(resources)
        self._rebuild()

    def remove_custom(self, definition: str) -> None:
        """Serve the resources of a definition no longer."""
        self._custom.pop(definition, None)
        self._rebuild()

    def _rebuild(self) -> None:
        custom = (each for definition in sorted(self._custom) for each in self._custom[definition])
        self._index = {(each.group, each.version, each.plural): each for each in (*self._builtin, *custom)}
        self.changes += 1
