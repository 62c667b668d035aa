"""Which ConfigMaps and Secrets a pod names."""

from trainyard_devcluster.node.objects import references


def test_every_way_of_naming_one_is_found() -> None:
    pod = {
        "metadata": {"namespace": "ns"},
        "spec": {
            "volumes": [
                {"name": "a", "configMap": {"name": "cm-volume"}},
                {"name": "b", "secret": {"secretName": "secret-volume"}},
                {
                    "name": "c",
                    "projected": {
                        "sources": [{"configMap": {"name": "cm-projected"}}, {"secret": {"name": "secret-projected"}}]
                    },
                },
                {"name": "d", "emptyDir": {}},
            ],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "cm-from"}}]}],
            "containers": [
                {
                    "name": "c",
                    "envFrom": [{"secretRef": {"name": "secret-from"}}],
                    "env": [
                        {"name": "A", "value": "x"},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm-key", "key": "k"}}},
                        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "secret-key", "key": "k"}}},
                        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                }
            ],
        },
    }
    assert references(pod) == {
        *(("ConfigMap", "ns", f"cm-{where}") for where in ("volume", "projected", "from", "key")),
        *(("Secret", "ns", f"secret-{where}") for where in ("volume", "projected", "from", "key")),
    }
