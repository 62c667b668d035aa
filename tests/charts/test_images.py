"""The Dockerfiles, as far as they can be held to account without a container engine."""

import re

import pytest

from support.dockerfile import context_files, instructions
from support.install import ROOT, by_name, manifests
from trainyard_operator.settings import Settings

PROGRAMS = pytest.mark.parametrize(
    ("program", "module", "lock"),
    [("operator", "trainyard_operator", "operator.txt"), ("trainer", "trainyard_trainer", "trainer.txt")],
)


def of(program, name):
    return [step.words for step in instructions(program) if step.name == name]


@PROGRAMS
def test_every_copied_file_reaches_the_build(program, module, lock):
    files = context_files()
    for *sources, _ in (words for words in of(program, "COPY") if not words[0].startswith("--from")):
        for source in sources:
            assert [name for name in files if name == source or name.startswith(f"{source}/")], source


def test_nothing_but_what_the_images_are_made_of_reaches_the_build():
    tops = {name.partition("/")[0] for name in context_files()}
    assert tops == {
        "LICENSE", "README.md", "api", "fetcher", "operator", "pyproject.toml", "requirements", "trainer",
    }  # fmt: skip
    assert not [name for name in context_files() if name.endswith("Dockerfile")]


@PROGRAMS
def test_what_is_installed_is_locked_with_hashes(program, module, lock):
    lines = [line.strip() for words in of(program, "RUN") for line in " ".join(words).split("&&")]
    installs = [line for line in lines if " -m pip " in line]
    locks = [line for line in installs if "--require-hashes" in line]
    others = [line for line in installs if "--require-hashes" not in line]
    assert [line.split()[-1] for line in locks] == [f"/requirements/{lock}", "/requirements/build.txt"]
    assert all("--no-deps" in line and ("--no-index" in line or " wheel " in line) for line in others)


def test_every_pin_has_a_hash_and_no_lock_file_names_an_index():
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) == 6
    for path in locks:
        entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
        assert [each for each in entries if not re.match(r"[\w.-]+==\S+", each) or "--hash=sha256:" not in each] == []
        assert "://" not in path.read_text(encoding="utf-8")


@PROGRAMS
def test_the_base_image_is_one_argument(program, module, lock):
    assert next(words[0] for words in of(program, "ARG")) == "BASE=python:3.11-slim"
    pinned = f"python@sha256:{'0' * 64}"
    bases = [step.words[0] for step in instructions(program, BASE=pinned) if step.name == "FROM"]
    assert bases == [pinned, pinned]


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
    return set(re.findall(r"^[\w.-]+==[^\s;]+", lock.read_text(), re.MULTILINE))


def _version(pins, name):
    (found,) = (pin.partition("==")[2] for pin in pins if pin.startswith(f"{name}=="))
    return found


@PROGRAMS
def test_an_image_holds_every_package_of_ours_that_its_program_imports(program, module, lock):
    copied = {source for words in of(program, "COPY") for source in words[:-1] if "--from" not in source}
    packages = {path.name for source in copied for path in (ROOT / source).glob("trainyard_*")}
    sources = [path for name in packages for path in ROOT.glob(f"*/{name}/**/*.py")]
    imported = {
        name
        for path in sources
        for name in re.findall(r"^ *(?:from|import) (trainyard_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert module in imported
    assert imported == packages


def test_the_deployment_sets_variables_that_the_operator_reads():
    (container,) = by_name(manifests())["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"]
    known = {f"TRAINYARD_{name.upper()}": name for name in Settings.__dataclass_fields__}
    given = {each["name"]: each["value"] for each in container["env"]}
    assert set(given) <= set(known)
    defaults = Settings()
    assert container["ports"][0]["containerPort"] == defaults.port
    assert given["TRAINYARD_OPERATOR_IMAGE"] == container["image"] == defaults.operator_image
    assert given["TRAINYARD_TRAINER_IMAGE"] == defaults.trainer_image
    assert given["TRAINYARD_TRAINER_GPU_IMAGE"] == defaults.trainer_gpu_image
