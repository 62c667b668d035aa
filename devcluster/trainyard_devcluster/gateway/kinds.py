"""The kinds of the Gateway API that are followed, and their definitions for a cluster that has none."""

from trainyard_devcluster.resources import Object, Resource

GROUP = "gateway.networking.k8s.io"
GATEWAYS = Resource(GROUP, "v1", "gateways", "Gateway")
HTTP_ROUTES = Resource(GROUP, "v1", "httproutes", "HTTPRoute")
GRPC_ROUTES = Resource(GROUP, "v1", "grpcroutes", "GRPCRoute")
KINDS = (GATEWAYS, HTTP_ROUTES, GRPC_ROUTES)
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)


def definition(kind: Resource) -> Object:
    """A definition without the rules of the published one: it takes any spec."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return {
        "apiVersion": DEFINITIONS.api_version,
        "kind": DEFINITIONS.kind,
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            # Kubernetes asks who may define kinds of its own groups.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for development"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()},
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
