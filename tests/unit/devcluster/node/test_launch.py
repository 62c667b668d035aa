"""From a container's spec to the process that stands for it."""

from pathlib import Path
from typing import Any

from trainyard_devcluster.node.images import Image
from trainyard_devcluster.node.launch import SHIM, ContainerFolder, Launch, launch, variables

ROOT = Path("/state/main")
IMAGE = Image("x", ("python", "-m", "app"), env={"FROM_IMAGE": "1"}, programs={"python": ("/venv/python",)})
MOUNTS = {"/models": "/r/models", "/tmp/cache": "/r/cache"}


def a_launch(mounts: dict[str, str] = MOUNTS, **container: Any) -> Launch:
    spec = {"name": "main", "image": "x", **container}
    values = variables(spec, IMAGE, {"BASE": "b"}, lookup=lambda kind, name: None, field=str)
    return launch(spec, IMAGE, values, mounts=mounts, folder=ContainerFolder(ROOT), marks={"MARK": "m"})


def test_paths_are_rewritten_in_arguments_and_variables() -> None:
    made = a_launch(args=["--base=/models", "$(DIR)/1"], env=[{"name": "DIR", "value": "/models/churn"}])
    assert made.argv == ("/venv/python", "-m", "app", "--base=/r/models", "/r/models/churn/1")
    assert made.env["DIR"] == "/r/models/churn"


def test_the_environment_is_what_the_image_the_node_and_the_pod_say_and_nothing_else() -> None:
    made = a_launch(env=[{"name": "BASE", "value": "mine"}, {"name": "PYTHONPATH", "value": "/models/lib"}])
    assert dict(made.env) == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/state/main/home",
        "TMPDIR": "/state/main/tmp",
        "FROM_IMAGE": "1",
        "BASE": "mine",
        "PYTHONPATH": f"{SHIM}:/r/models/lib",
        "MARK": "m",
    }


def test_a_pod_cannot_change_the_nodes_marks() -> None:
    assert a_launch(env=[{"name": "MARK", "value": "mine"}]).env["MARK"] == "m"


def test_the_termination_message_has_a_file_of_its_own() -> None:
    made = a_launch(env=[{"name": "P", "value": "/dev/termination-log"}])
    assert made.env["P"] == "/state/main/termination-log"
    other = a_launch(env=[{"name": "P", "value": "/models/end"}], terminationMessagePath="/models/end")
    assert other.env["P"] == "/state/main/termination-log"


def test_the_working_directory_is_a_mount_or_a_folder_of_the_containers_own() -> None:
    assert a_launch().cwd == ROOT / "home"
    assert a_launch(workingDir="/models/x").cwd == Path("/r/models/x")
    assert a_launch(workingDir="/app").cwd == ROOT / "root/app"


def test_temporary_files_go_to_what_is_mounted_there() -> None:
    assert a_launch(mounts={"/tmp": "/r/tmp"}).env["TMPDIR"] == "/r/tmp"


def test_commands_of_probes_and_hooks_run_like_the_container() -> None:
    command = a_launch().command(["python", "/models/check.py"])
    assert command == ["/venv/python", "/r/models/check.py"]


def test_a_path_of_this_machine_stays_as_it_is_where_a_mount_path_begins_it() -> None:
    pod = Path("/tmp/state/pods/1")
    image = Image("me", ("python",), env={}, programs={"python": ("/tmp/venv/bin/python",)})
    values = {"KUBECONFIG": str(pod / "kubeconfig"), "SCRATCH": "/tmp/x"}
    folder = ContainerFolder(pod / "containers" / "main")

    made = launch({}, image, values, mounts={"/tmp": str(pod / "volumes/tmp")}, folder=folder, marks={})

    assert made.argv == ("/tmp/venv/bin/python",)
    assert made.env["KUBECONFIG"] == "/tmp/state/pods/1/kubeconfig"
    assert made.env["SCRATCH"] == "/tmp/state/pods/1/volumes/tmp/x"
