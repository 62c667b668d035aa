"""Mount paths in commands, arguments and variables become real folders."""

import pytest

from trainyard_devcluster.node.paths import rewrite

MOUNTS = {"/models": "/r/models", "/models/b": "/r/b", "/etc/trainyard/spec": "/r/spec", "/data/": "/r/data"}


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/models", "/r/models"),
        ("/models/a/1", "/r/models/a/1"),
        ("/models/b/1", "/r/b/1"),
        ("/models/bc", "/r/models/bc"),
        ("/models/b.old", "/r/models/b.old"),
        ("--model_base_path=/models/churn", "--model_base_path=/r/models/churn"),
        ("/models:/data", "/r/models:/r/data"),
        ('{"path": "/etc/trainyard/spec/spec.json"}', '{"path": "/r/spec/spec.json"}'),
        ("cat /models/x > /data/y && ls '/models'", "cat /r/models/x > /r/data/y && ls '/r/models'"),
        ("file:///models/x", "file:///r/models/x"),
        ("/data/", "/r/data/"),
    ],
)
def test_a_mount_path_becomes_the_real_folder_and_the_longest_one_wins(text: str, rewritten: str) -> None:
    assert rewrite(text, MOUNTS) == rewritten


@pytest.mark.parametrize(
    "text",
    [
        "/my/models/x",
        "/models-2/x",
        "/modelsx",
        "models",
        "./models",
        "~/models",
        "$HOME/models",
        "${HOME}/models",
        "$(pwd)/models",
        "http://host:8501/v1/models/churn:predict",
        "http://127.0.0.1/models",
        "",
    ],
)
def test_what_only_looks_like_a_mount_path_stays(text: str) -> None:
    assert rewrite(text, MOUNTS) == text


def test_what_was_rewritten_is_not_rewritten_again() -> None:
    assert rewrite("/a/x", {"/a": "/b", "/b": "/c"}) == "/b/x"


def test_a_mount_at_the_root_and_no_mounts_change_nothing() -> None:
    assert rewrite("/x", {"/": "/r"}) == "/x"
    assert rewrite("/x", {}) == "/x"
