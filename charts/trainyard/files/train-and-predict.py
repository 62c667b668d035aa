"""helm test: trains a small model, serves it and asks it for a prediction. Needs the standard library alone."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

NAMESPACE, NAME, STORAGE_CLASS = sys.argv[1:]
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
API = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
SECONDS = 900
GROUP = "trainyard.dev/v1alpha1"
TRAINYARD = f"/apis/{GROUP}/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}}
ROWS = "x,y\n" + "".join(f"{x},{2 * x + 1}\n" for x in range(200))
CPU = {"requests": {"cpu": "100m", "memory": "512Mi"}}
OBJECTS = {
    f"{CORE}/configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"rows.csv": ROWS}},
    f"{CORE}/persistentvolumeclaims": {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "spec": CLAIM | ({"storageClassName": STORAGE_CLASS} if STORAGE_CLASS else {}),
    },
    f"{TRAINYARD}/trainingjobs": {
        "apiVersion": GROUP,
        "kind": "TrainingJob",
        "metadata": {"labels": {"trainyard-test": NAME}},
        "spec": {
            "modelName": NAME,
            "program": {"keras": {"family": "linear", "task": "regression"}},
            "data": {"source": {"configMap": {"name": NAME, "key": "rows.csv"}}, "label": "y"},
            "fit": {"epochs": 100},
            "roles": {"worker": {"resources": CPU}},
            "output": {"store": {"persistentVolumeClaim": {"claimName": NAME}}},
        },
    },
    f"{TRAINYARD}/modelservices": {
        "apiVersion": GROUP,
        "kind": "ModelService",
        "spec": {
            "model": {"fromTraining": {"selector": {"matchLabels": {"trainyard-test": NAME}}}},
            "server": {"resources": CPU},
        },
    },
}


def request(method, url, body=None, *, headers=None, tls=None):
    """Return the JSON that is answered."""
    content = json.dumps(body).encode() if body else None
    asked = urllib.request.Request(url, content, headers or {}, method=method)  # noqa: S310  our own addresses
    try:
        with urllib.request.urlopen(asked, timeout=30, context=tls) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        sys.exit(f"{method} {url}: {error.code} {error.read().decode(errors='replace')[:500]}")


def cluster(method, path, body=None):
    """Ask the API server."""
    with open(f"{ACCOUNT}/token", encoding="utf-8") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "application/json"}
    tls = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    return request(method, API + path, body, headers=headers, tls=tls)


def wait(what, path, ends):
    """Return the phase once it is one of `ends`, or somebody has to change something; print each change."""
    deadline, last = time.monotonic() + SECONDS, ""
    while time.monotonic() < deadline:
        status = cluster("GET", path).get("status", {})
        phase, conditions = status.get("phase", "Pending"), status.get("conditions", [])
        told = {one["message"] for one in conditions if one["message"] and "see condition" not in one["message"]}
        if (line := " ".join([what, phase, *sorted(told)])) != last:
            last = line
            print(line, flush=True)
        if phase in ends or any((one["type"], one["status"]) == ("Stalled", "True") for one in conditions):
            return phase
        time.sleep(2)
    sys.exit(f"{what} took longer than {SECONDS} s; last seen: {last}")


def clean():
    """Delete what this test makes, and wait until it is gone."""
    for path in reversed(OBJECTS):
        cluster("DELETE", f"{path}/{NAME}", {"propagationPolicy": "Foreground"})
    for path in OBJECTS:
        while cluster("GET", f"{path}/{NAME}"):
            time.sleep(1)


def main():
    """Train, serve, predict."""
    clean()
    for path, fields in OBJECTS.items():
        cluster("POST", path, fields | {"metadata": fields.get("metadata", {}) | {"name": NAME}})
    if wait("training", f"{TRAINYARD}/trainingjobs/{NAME}", ("Succeeded", "Failed")) != "Succeeded":
        sys.exit("the training does not succeed")
    if wait("service", f"{TRAINYARD}/modelservices/{NAME}", ("Ready",)) != "Ready":
        sys.exit("the model does not get ready")
    url = f"http://{NAME}.{NAMESPACE}.svc:8501/v1/models/{NAME}:predict"
    answer = request("POST", url, {"instances": [{"x": 100}]}, headers={"Content-Type": "application/json"})
    print(url, answer, flush=True)
    if not answer.get("predictions"):
        sys.exit("expected a prediction")


try:
    main()
finally:
    clean()
