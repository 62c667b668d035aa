"""What happens to a pod, as its user sees it: the same on every cluster."""

import time

import pytest

from support.kube_api import Api, Object
from support.manifests import a_config_map, a_pod, a_python, a_secret, a_service, a_shell

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1
    def do_GET(self):
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def phase_is(*phases: str):  # type: ignore[no-untyped-def]
    def holds(pod: Object) -> bool:
        return (pod.get("status") or {}).get("phase") in phases

    holds.__name__ = f"its phase is {' or '.join(phases)}"
    return holds


def ready(pod: Object) -> bool:
    """For `wait_for`: the pod is Ready."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def container_status(pod: Object) -> Object:
    status: Object = pod["status"]["containerStatuses"][0]
    return status


def run(api: Api, pod: Object, *, timeout: float = 90) -> Object:
    """Create a pod and return it when it has ended."""
    api.create(pod)
    return api.wait_for(pod, phase_is("Succeeded", "Failed"), timeout=timeout)


def test_a_pod_runs_to_its_end_and_keeps_its_log(api: Api) -> None:
    pod = run(api, a_pod(a_shell("echo one; echo two >&2; exit 0")))
    assert pod["status"]["phase"] == "Succeeded"
    ended = container_status(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert pod["status"]["podIP"]
    assert sorted(api.logs("pod").split()) == ["one", "two"]
    api.wait_for_event("pod", "Started")


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("sh -c 'kill -9 $$$$'; exit $?", 137)])
def test_a_pod_that_fails_says_how(api: Api, script: str, code: int) -> None:
    pod = run(api, a_pod(a_shell(script)))
    assert pod["status"]["phase"] == "Failed"
    assert container_status(pod)["state"]["terminated"]["exitCode"] == code


def test_a_termination_message_reaches_the_status(api: Api) -> None:
    pod = run(api, a_pod(a_shell('printf \'{"reason": "Done"}\' > /dev/termination-log')))
    assert container_status(pod)["state"]["terminated"]["message"] == '{"reason": "Done"}'


def test_without_a_termination_message_the_end_of_the_log_can_serve(api: Api) -> None:
    main = a_shell("echo last words; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    pod = run(api, a_pod(main))
    assert container_status(pod)["state"]["terminated"]["message"] == "last words\n"


def test_variables_come_from_everywhere(api: Api) -> None:
    api.create(a_config_map("settings", LEVEL="debug", mode="fast"))
    api.create(a_secret("keys", TOKEN="s3cret"))
    main = a_shell(
        'echo "$LEVEL $MODE $TOKEN $NAME $POD_NAMESPACE $APP $CPU $BOTH $1"; test -n "$POD_IP"',
        envFrom=[{"configMapRef": {"name": "settings"}}],
        env=[
            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "TOKEN"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "BOTH", "value": "$(NAME)-$(MODE)-$(MISSING)-$$(NAME)"},
        ],
        args=["script", "$(NAME)!"],
        resources={"limits": {"cpu": "250m", "memory": "64Mi"}},
    )
    run(api, a_pod(main, labels={"app": "demo"}))
    words = api.logs("pod").split()
    assert words == [
        *("debug", "fast", "s3cret", "pod", api.namespace, "demo", "250", "pod-fast-$(MISSING)-$(NAME)", "pod!"),
    ]


def test_volumes_hold_what_they_come_from(api: Api) -> None:
    api.create(a_config_map("cfg", a="1", b="2"))
    api.create(a_secret("sec", key="hidden"))
    volumes = [
        {"name": "cfg", "configMap": {"name": "cfg", "items": [{"key": "b", "path": "sub/b"}]}},
        {"name": "sec", "secret": {"secretName": "sec"}},
        {"name": "me", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "cfg", "items": [{"key": "a", "path": "a"}]}},
                    {"secret": {"name": "sec"}},
                ]
            },
        },
        {"name": "work", "emptyDir": {}},
    ]
    paths = {"cfg": "/cfg", "sec": "/sec", "me": "/me", "all": "/all", "work": "/work"}
    mounts = [{"name": name, "mountPath": path} for name, path in paths.items()]
    first = a_shell("echo made > /work/file", "first", volumeMounts=mounts)
    script = "cat /cfg/sub/b; echo; cat /sec/key; echo; cat /me/name; echo; cat /all/a /all/key; echo; cat /work/file"
    run(api, a_pod(a_shell(script, volumeMounts=mounts), initContainers=[first], volumes=volumes))
    assert api.logs("pod", container="main").split() == ["2", "hidden", "pod", "1hidden", "made"]


def test_files_follow_their_config_map(api: Api) -> None:
    config = a_config_map("cfg", word="old")
    api.create(config)
    mounts = [{"name": "cfg", "mountPath": "/cfg"}]
    pod = a_pod(
        a_shell("while ! grep -q new /cfg/word; do sleep 0.2; done", volumeMounts=mounts),
        volumes=[{"name": "cfg", "configMap": {"name": "cfg"}}],
    )
    api.create(pod)
    api.wait_for(pod, phase_is("Running"))
    api.patch(config, {"data": {"word": "new"}})
    api.wait_for(pod, phase_is("Succeeded"), timeout=150)  # a kubelet may take more than a minute


def test_a_missing_config_map_holds_the_pod_until_it_comes(api: Api) -> None:
    pod = a_pod(
        a_shell("cat /cfg/word", volumeMounts=[{"name": "cfg", "mountPath": "/cfg"}]),
        volumes=[{"name": "cfg", "configMap": {"name": "cfg"}}],
    )
    api.create(pod)
    api.wait_for_event("pod", "FailedMount", containing='configmap "cfg" not found')
    waiting = api.wait_for(pod, lambda pod: pod["status"].get("containerStatuses"))
    assert container_status(waiting)["state"]["waiting"]["reason"] == "ContainerCreating"
    api.create(a_config_map("cfg", word="here"))
    api.wait_for(pod, phase_is("Succeeded"), timeout=120)
    assert api.logs("pod") == "here"


def test_a_missing_secret_holds_the_container_with_the_reason(api: Api) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "token"}}}]
    pod = a_pod(a_shell("echo $TOKEN", env=env))
    api.create(pod)
    api.wait_for(pod, waits_for("CreateContainerConfigError"))
    api.create(a_secret("sec", token="here"))
    api.wait_for(pod, phase_is("Succeeded"), timeout=120)
    assert api.logs("pod") == "here\n"


def test_an_image_that_cannot_be_had_is_said_so(api: Api) -> None:
    pod = a_pod({"name": "main", "image": "registry.invalid/no/such:1", "command": ["sleep", "60"]})
    api.create(pod)
    api.wait_for(pod, waits_for("ErrImagePull", "ImagePullBackOff"))
    api.wait_for_event("pod", "Failed")


def waits_for(*reasons: str):  # type: ignore[no-untyped-def]
    def holds(pod: Object) -> bool:
        statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
        return (statuses[0].get("state") or {}).get("waiting", {}).get("reason") in reasons

    holds.__name__ = f"its container waits with {' or '.join(reasons)}"
    return holds


def test_a_container_that_fails_is_restarted_and_its_last_log_kept(api: Api) -> None:
    pod = a_pod(a_shell("echo run; exit 1"), restart="Always")
    api.create(pod)
    found = api.wait_for(pod, lambda pod: restarts(pod) >= 1, description="its container was restarted")
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 1
    api.wait_for(pod, waits_for("CrashLoopBackOff"))
    assert api.logs("pod", previous=True) == "run\n"
    assert found["status"]["phase"] == "Running"
    api.wait_for_event("pod", "BackOff")


def restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def test_init_containers_run_in_order_before_the_rest(api: Api) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    init = [a_shell(f"echo {name} >> /work/order", name, volumeMounts=mounts) for name in ("one", "two")]
    pod = a_pod(
        a_shell("cat /work/order", volumeMounts=mounts),
        initContainers=init,
        volumes=[{"name": "work", "emptyDir": {}}],
    )
    assert run(api, pod)["status"]["phase"] == "Succeeded"
    assert api.logs("pod", container="main").split() == ["one", "two"]


def test_an_init_container_that_fails_keeps_the_rest_from_starting(api: Api) -> None:
    pod = run(api, a_pod(a_shell("exit 0"), initContainers=[a_shell("exit 4", "first")]))
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert "terminated" not in container_status(pod)["state"]


def test_a_pod_is_ready_when_its_probe_says_so(api: Api) -> None:
    probe = {"exec": {"command": ["test", "-e", "/work/ready"]}, "periodSeconds": 1}
    main = a_shell(
        "sleep 3; touch /work/ready; sleep 600",
        readinessProbe=probe,
        volumeMounts=[{"name": "work", "mountPath": "/work"}],
    )
    pod = a_pod(main, volumes=[{"name": "work", "emptyDir": {}}])
    api.create(pod)
    assert not ready(api.wait_for(pod, phase_is("Running")))
    api.wait_for(pod, ready)
    api.wait_for_event("pod", "Unhealthy", containing="Readiness probe failed")


def test_a_container_that_its_liveness_probe_gives_up_is_restarted(api: Api) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
    pod = a_pod(a_shell("sleep 600", livenessProbe=probe), restart="Always", terminationGracePeriodSeconds=1)
    api.create(pod)
    api.wait_for(pod, lambda pod: restarts(pod) >= 1, description="its container was restarted")
    api.wait_for_event("pod", "Killing", containing="failed liveness probe")


def test_a_startup_probe_holds_back_the_others(api: Api) -> None:
    startup = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 60}
    main = a_python(
        "import time; time.sleep(2)\n" + SERVER,
        ports=[{"name": "http", "containerPort": 8080}],
        startupProbe=startup,
        livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1},
        readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    )
    pod = a_pod(main)
    api.create(pod)
    found = api.wait_for(pod, ready)
    assert restarts(found) == 0
    assert container_status(found)["started"] is True


def test_a_deleted_pod_can_finish_what_it_does(api: Api) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    pod = a_pod(a_shell(script), restart="Always", terminationGracePeriodSeconds=30)
    api.create(pod)
    api.wait_for(pod, ready)
    lines = api.follow_logs("pod")
    assert next(lines) == "up"
    began = time.monotonic()
    api.delete(pod)
    assert list(lines) == ["bye"]
    api.wait_until_gone(pod)
    assert time.monotonic() - began < 20


def test_a_pod_that_does_not_listen_is_killed_when_its_grace_is_over(api: Api) -> None:
    pod = a_pod(a_shell("trap '' TERM; while :; do sleep 0.1; done"), terminationGracePeriodSeconds=2)
    api.create(pod)
    api.wait_for(pod, phase_is("Running"))
    began = time.monotonic()
    api.delete(pod)
    api.wait_until_gone(pod)
    assert time.monotonic() - began >= 1.5


def test_a_pod_past_its_deadline_fails(api: Api) -> None:
    pod = run(api, a_pod(a_shell("sleep 600"), activeDeadlineSeconds=2, terminationGracePeriodSeconds=1))
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["reason"] == "DeadlineExceeded"


def test_the_end_of_a_log_can_be_chosen(api: Api) -> None:
    run(api, a_pod(a_shell("for n in 1 2 3 4 5; do echo $n; done")))
    assert api.logs("pod", tail_lines=2) == "4\n5\n"
    assert api.logs("pod", limit_bytes=3) == "1\n2"
    assert len(api.logs("pod", timestamps=True).splitlines()[0].split()) == 2
    assert api.logs("pod", since_seconds=600) == "1\n2\n3\n4\n5\n"


def test_a_pod_can_speak_to_the_api_server_as_its_account(api: Api) -> None:
    code = """
import json, os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
with open(folder + "/token") as token, open(folder + "/namespace") as namespace:
    headers = {"Authorization": "Bearer " + token.read(), "Content-Type": "application/json"}
    space = namespace.read()
url = "https://%s:%s" % (os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"])
body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode()
request = urllib.request.Request(url + "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, headers)
tls = ssl.create_default_context(cafile=folder + "/ca.crt")
answer = json.load(urllib.request.urlopen(request, context=tls))
print(answer["status"]["userInfo"]["username"], space)
"""
    run(api, a_pod(a_python(code), automountServiceAccountToken=True))
    assert api.logs("pod").split() == [f"system:serviceaccount:{api.namespace}:default", api.namespace]


def a_server(name: str, **labels: str) -> Object:
    """A pod that answers HTTP requests with its name."""
    main = a_python(SERVER, readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1})
    return a_pod(main, name=name, labels=labels)


def test_a_service_is_reached_by_its_name_and_leads_to_ready_pods(api: Api) -> None:
    api.create(a_service("web", {"app": "web"}, 80, 8080))
    server = a_server("server", app="web")
    api.create(server)
    api.wait_for(server, ready)
    code = f"""
import time, urllib.request
for name in ("web", "web.{api.namespace}", "web.{api.namespace}.svc.cluster.local"):
    for attempt in range(100):
        try:
            print(urllib.request.urlopen(f"http://{{name}}/", timeout=5).read().decode())
            break
        except OSError:
            time.sleep(0.1)
"""
    run(api, a_pod(a_python(code), name="client"))
    assert api.logs("client").split() == ["server"] * 3


CLIENT = """
import http.client, sys, time
kept, answers, failures = http.client.HTTPConnection("web", 80, timeout=10), [], 0
while answers[-1:] != ["second"] or len(answers) < 200:
    try:
        fresh = http.client.HTTPConnection("web", 80, timeout=10)
        for connection in (kept, fresh):
            connection.request("GET", "/")
            body = connection.getresponse().read().decode()
        fresh.close()
        answers.append(body)
        if len(answers) == 20:
            print("going", flush=True)
    except OSError as error:
        failures += 1
        print("failed:", error, flush=True)
        if failures > 5:
            break
    time.sleep(0.005)
print("failures:", failures)
"""


def test_a_service_changes_its_pods_without_a_failed_request(api: Api) -> None:
    service = a_service("web", {"app": "web", "version": "1"}, 80, 8080)
    api.create(service)
    servers = [a_server("first", app="web", version="1"), a_server("second", app="web", version="2")]
    for server in servers:
        api.create(server)
        api.wait_for(server, ready)
    client = a_pod(a_python(CLIENT), name="client")
    api.create(client)
    api.wait_for(client, phase_is("Running"))
    lines = api.follow_logs("client")
    assert next(lines) == "going"
    api.patch(service, {"spec": {"selector": {"version": "2"}}})
    assert list(lines) == ["failures: 0"]


def test_pods_of_a_headless_service_have_names(api: Api) -> None:
    api.create(a_service("group", {"app": "group"}, 8080, 8080, clusterIP="None", publishNotReadyAddresses=True))
    server = a_server("server", app="group")
    server["spec"] |= {"hostname": "rank-0", "subdomain": "group"}
    api.create(server)
    api.wait_for(server, ready)
    code = """
import time, urllib.request
for attempt in range(300):
    try:
        print(urllib.request.urlopen("http://rank-0.group:8080/", timeout=5).read().decode())
        break
    except OSError:
        time.sleep(0.1)
"""
    run(api, a_pod(a_python(code), name="client"))
    assert api.logs("client") == "rank-0\n"
