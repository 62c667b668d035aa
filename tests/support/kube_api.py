"""What tests do with a cluster, through the official Kubernetes client: apply, look, wait, and say what went wrong."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError

Object: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[Object]

FIELD_MANAGER = "trainyard-tests"
LOOK_SECONDS = 0.05
DISCOVERY_SECONDS = 15.0


class Api:
    """The API server as one test sees it: in its own namespace, unless a manifest names another."""

    def __init__(self, api_client: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._dynamic = DynamicClient(api_client)
        self._core = client.CoreV1Api(api_client)

    def apply(self, *manifests: Object) -> Object:
        """Server-side apply; returns the last object."""
        applied: Object = {}
        for manifest in manifests:
            resource, place = self._place(manifest)
            applied = resource.server_side_apply(
                body=manifest, field_manager=FIELD_MANAGER, force_conflicts=True, **place
            ).to_dict()
        return applied

    def create(self, manifest: Object) -> Object:
        """Create the object; returns it."""
        resource, place = self._place(manifest)
        created: Object = resource.create(body=manifest, **place).to_dict()
        return created

    def patch(self, manifest: Object, change: Object) -> Object:
        """Merge a change into the object that a manifest names."""
        resource, place = self._place(manifest)
        content_type = "application/merge-patch+json"
        patched: Object = resource.patch(body=change, content_type=content_type, **_named(manifest), **place).to_dict()
        return patched

    def get(self, manifest: Object) -> Object | None:
        """The live object of a manifest (apiVersion, kind and name are enough), or None."""
        try:
            resource, place = self._place(manifest, seconds=0)
            found: Object = resource.get(**_named(manifest), **place).to_dict()
        except (NotFoundError, ResourceNotFoundError):
            return None
        return found

    def list(self, api_version: str, kind: str, *, label_selector: str | None = None) -> list[Object]:
        """All objects of a kind in the test's namespace."""
        resource = self._resource(api_version, kind)
        found = resource.get(namespace=self.namespace, label_selector=label_selector)
        return [item.to_dict() for item in found.items]

    def delete(self, *manifests: Object, grace_seconds: int | None = None) -> None:
        """Delete the objects, in the background what they own; one that is gone already is no matter."""
        for manifest in manifests:
            resource, place = self._place(manifest)
            body = {"propagationPolicy": "Background", "gracePeriodSeconds": grace_seconds}
            try:
                resource.delete(
                    body={key: value for key, value in body.items() if value is not None}, **_named(manifest), **place
                )
            except NotFoundError:
                continue

    def wait_for(
        self,
        manifest: Object,
        holds: Callable[[Object], object],
        *,
        timeout: float = 60,
        description: str = "",
    ) -> Object:
        """The live object as soon as `holds` says yes of it. AssertionError with all that is known otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.get(manifest)
            if found is not None and holds(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(self._failure(manifest, timeout, description or _words(holds)))
            time.sleep(LOOK_SECONDS)

    def wait_until_gone(self, manifest: Object, *, timeout: float = 60) -> None:
        """Return once there is no such object. AssertionError with all that is known otherwise."""
        deadline = time.monotonic() + timeout
        while self.get(manifest) is not None:
            assert time.monotonic() < deadline, self._failure(manifest, timeout, "it is gone")
            time.sleep(LOOK_SECONDS)

    def logs(self, pod: str, **options: Any) -> str:
        """A pod's log; options are those of `read_namespaced_pod_log`."""
        answer = self._core.read_namespaced_pod_log(pod, self.namespace, _preload_content=False, **options)
        return bytes(answer.data).decode()

    def follow_logs(self, pod: str) -> Iterator[str]:
        """A pod's log, line by line, until it ends."""
        answer = self._core.read_namespaced_pod_log(pod, self.namespace, follow=True, _preload_content=False)
        rest = b""
        for piece in answer.stream():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode()

    def events(self, name: str) -> Objects:
        """The events about an object of the test's namespace, oldest first."""
        found = self._core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}")
        items: Objects = self._core.api_client.sanitize_for_serialization(found)["items"]
        return sorted(items, key=lambda each: each.get("lastTimestamp") or each["metadata"]["creationTimestamp"])

    def wait_for_event(self, name: str, reason: str, *, containing: str = "", timeout: float = 60) -> Object:
        """The first event about an object with this reason. AssertionError with those there are otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            events = self.events(name)
            for event in events:
                if event.get("reason") == reason and containing in event.get("message", ""):
                    return event
            seen = "\n".join(f"{event.get('reason')}: {event.get('message')}" for event in events)
            assert time.monotonic() < deadline, (
                f"no event {reason} about {name} with {containing!r}; there are:\n{seen}"
            )
            time.sleep(LOOK_SECONDS)

    def _failure(self, manifest: Object, seconds: float, description: str) -> str:
        name = manifest["metadata"]["name"]
        parts = [f"waited {seconds:g} s for {manifest['kind']} {name} until {description}"]
        parts.append(_yaml(self.get(manifest)))
        parts += [f"event {each.get('reason')}: {each.get('message')}" for each in self.events(name)]
        for pod in self.list("v1", "Pod"):
            parts += self._about_pod(pod, whole=manifest["kind"] != "Pod")
        return "\n".join(parts)

    def _about_pod(self, pod: Object, *, whole: bool) -> Iterator[str]:
        name = pod["metadata"]["name"]
        if whole:
            yield f"pod {name}: {_yaml(pod.get('status'))}"
            yield from (f"pod {name}: event {each.get('reason')}: {each.get('message')}" for each in self.events(name))
        for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
            try:
                log = self.logs(name, container=container["name"], tail_lines=30)
            except ApiException as error:
                log = f"(no log: {error.reason})"
            yield f"pod {name}: log of {container['name']}:\n{log}"

    def _place(self, manifest: Object, *, seconds: float = DISCOVERY_SECONDS) -> tuple[Any, dict[str, str]]:
        resource = self._resource(manifest["apiVersion"], manifest["kind"], seconds=seconds)
        if not resource.namespaced:
            return resource, {}
        return resource, {"namespace": manifest["metadata"].get("namespace", self.namespace)}

    def _resource(self, api_version: str, kind: str, *, seconds: float = DISCOVERY_SECONDS) -> Any:
        """The resource of a kind; one that a CustomResourceDefinition has just brought is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._dynamic.resources.get(api_version=api_version, kind=kind)
            except ResourceNotFoundError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_SECONDS)
            self._dynamic.resources.invalidate_cache()


def connect(kubeconfig: Path) -> client.ApiClient:
    """A client for a kubeconfig's current context."""
    return config.new_client_from_config(str(kubeconfig))


def _named(manifest: Object) -> dict[str, str]:
    return {"name": manifest["metadata"]["name"]}


def _words(holds: Callable[[Object], object]) -> str:
    return getattr(holds, "__name__", "it is as expected").replace("_", " ")


def _yaml(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False))
