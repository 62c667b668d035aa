"""The Dockerfiles, as far as they can be held to account without a container engine."""

import fnmatch
import json
import re
import shlex

import pytest

from support.install import ROOT, by_name, manifests
from trainyard_operator.settings import Settings

PROGRAMS = pytest.mark.parametrize(
    ("program", "module", "lock"),
    [("operator", "trainyard_operator", "operator.txt"), ("trainer", "trainyard_trainer", "trainer.txt")],
)


def instructions(program):
    """Return the instructions of a Dockerfile as (name, words), with build arguments at their defaults."""
    text = (ROOT / program / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE))
    for line in filter(None, lines):
        name, rest = line.split(maxsplit=1)
        rest = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], rest)
        yield name, json.loads(rest) if rest.startswith("[") else shlex.split(rest)


def of(program, name):
    return [words for each, words in instructions(program) if each == name]


@PROGRAMS
def test_every_copied_file_is_there_and_reaches_the_build(program, module, lock):
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    for *sources, _ in (words for words in of(program, "COPY") if not words[0].startswith("--from")):
        for source in sources:
            assert (ROOT / source).exists(), source
            parents = [source, *(source.rsplit("/", n)[0] for n in range(1, source.count("/") + 1))]
            assert any(fnmatch.fnmatch(parent, pattern) for parent in parents for pattern in allowed), source


@PROGRAMS
def test_only_the_lock_file_is_installed(program, module, lock):
    (install,) = (words for words in of(program, "RUN") if "pip" in words)
    assert install[install.index("pip") :] == [
        "pip", "install", "--no-cache-dir", "--no-deps", "--requirement", "/requirements.txt",
    ]  # fmt: skip
    assert [f"requirements/{lock}", "/requirements.txt"] in of(program, "COPY")
    pinned = [line for line in (ROOT / "requirements" / lock).read_text().splitlines() if line[0] not in " #"]
    assert all("==" in line for line in pinned)


@PROGRAMS
def test_the_program_runs_as_the_user_that_the_pods_name(program, module, lock):
    assert of(program, "USER") == [["65532:65532"]]
    assert of(program, "ENTRYPOINT") == [["python", "-m", module]]
    context = by_name(manifests())["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (65532, 65532)


def test_the_cuda_variant_differs_by_its_lock_file_only():
    locks = ROOT / "requirements"
    assert (locks / "trainer-gpu.txt").exists()
    cpu, cuda = (_pins(locks / name) for name in ("trainer.txt", "trainer-gpu.txt"))
    assert cpu - cuda == {f"tensorflow-cpu=={_version(cuda, 'tensorflow')}"}
    assert all(pin.startswith(("nvidia-", "tensorflow==")) for pin in cuda - cpu)


def _pins(lock):
    return {line.strip() for line in lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#"))}


def _version(pins, name):
    (found,) = (pin.partition("==")[2] for pin in pins if pin.startswith(f"{name}=="))
    return found


def test_the_trainers_image_holds_the_part_of_the_operator_that_the_trainer_imports():
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "trainer").rglob("*.py"))
    imported = {
        name for text in sources for name in re.findall(r"^(?:from|import) (trainyard_operator[.\w]*)", text, re.M)
    }
    copied = [source for words in of("trainer", "COPY") for source in words[:-1]]
    assert "api/trainyard_api" in copied
    assert {name.split(".")[1] for name in imported} <= {"api"}


def test_the_deployment_sets_variables_that_the_operator_reads():
    (container,) = by_name(manifests())["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"]
    known = {f"TRAINYARD_{name.upper()}": name for name in Settings.__dataclass_fields__}
    given = {each["name"]: each["value"] for each in container["env"]}
    assert set(given) <= set(known)
    defaults = Settings()
    assert container["ports"][0]["containerPort"] == defaults.port
    assert given["TRAINYARD_OPERATOR_IMAGE"] == container["image"] == defaults.operator_image
    assert given["TRAINYARD_TRAINER_IMAGE"] == defaults.trainer_image
