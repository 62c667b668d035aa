"""`make images` with stand-ins for the container engines: which is chosen, what is built, tagged and pushed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.version import project_version

ROOT = Path(__file__).parents[3]
VERSION = project_version(ROOT)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "sed", "cat", "tail"):
        (folder / name).symlink_to(shutil.which(name) or "")
    return folder


def an_engine(programs: Path, name: str, *, works: bool = True) -> None:
    (programs / name).write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = info ]; then {"exit 0" if works else "echo no daemon >&2; exit 1"}; fi\n'
        f'echo {name} "$@" >> {programs}/calls\n'
    )
    (programs / name).chmod(0o755)


def build(programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "tools/build-images"],
        cwd=ROOT, env={"PATH": str(programs)} | variables, capture_output=True, text=True,
    )  # fmt: skip


def calls(programs: Path) -> list[str]:
    return (programs / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("engines", "chosen"),
    [
        pytest.param({"docker": True, "podman": True}, "docker", id="docker first"),
        pytest.param({"docker": False, "podman": True}, "podman", id="docker without its daemon"),
        pytest.param({"buildah": True}, "buildah", id="buildah alone"),
    ],
)
def test_the_first_engine_that_works_builds_every_image(programs: Path, engines: dict[str, bool], chosen: str) -> None:
    for name, works in engines.items():
        an_engine(programs, name, works=works)

    told = build(programs)

    assert told.returncode == 0, told.stderr
    label = f"--label org.opencontainers.image.version={VERSION}"
    assert calls(programs) == [
        f"{chosen} build --file {program}/Dockerfile --tag trainyard/{program}:{tag} {label} {arguments}."
        for program, tag, arguments in (
            ("operator", VERSION, ""),
            ("trainer", VERSION, "--build-arg LOCK=trainer.txt "),
            ("trainer", f"{VERSION}-gpu", "--build-arg LOCK=trainer-gpu.txt "),
        )
    ]


def test_a_registry_is_put_before_the_names_and_pushed_to_when_asked(programs: Path) -> None:
    an_engine(programs, "podman")

    told = build(programs, REGISTRY="registry.example.com/team", PUSH="1", VARIANTS="operator")

    image = f"registry.example.com/team/trainyard/operator:{VERSION}"
    built, pushed = calls(programs)
    assert f"--tag {image}" in built
    assert pushed == f"podman push {image}"
    assert told.stdout.endswith(f"{image}\n")


def test_the_base_image_can_be_pinned(programs: Path) -> None:
    an_engine(programs, "docker")

    build(programs, BASE="python@sha256:0", VARIANTS="trainer")

    assert "--build-arg BASE=python@sha256:0 --build-arg LOCK=trainer.txt" in calls(programs)[0]


def test_without_an_engine_that_works_it_says_what_is_missing(programs: Path) -> None:
    an_engine(programs, "docker", works=False)

    told = build(programs)

    assert told.returncode == 1
    assert "needs docker, podman or buildah" in told.stderr
    assert "docker: no daemon" in told.stderr
    assert "podman: not installed" in told.stderr


def test_a_chosen_engine_that_does_not_work_is_refused_by_name(programs: Path) -> None:
    an_engine(programs, "docker")

    told = build(programs, ENGINE="podman")

    assert told.returncode == 1
    assert "ENGINE=podman does not work here" in told.stderr


def test_an_unknown_variant_is_refused_with_those_there_are(programs: Path) -> None:
    an_engine(programs, "docker")

    told = build(programs, VARIANTS="operater")

    assert told.returncode == 1
    assert "VARIANTS expects operator, trainer or trainer-gpu, got operater" in told.stderr
