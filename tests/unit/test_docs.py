"""The pages of the documentation: each is in the index, and no link leads nowhere."""

import re
import tomllib
from pathlib import Path

import pytest

from support.pages import blocks
from tools import prose

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [pytest.param(page, id=str(page.relative_to(DOCS))) for page in sorted(DOCS.rglob("*.md"))]
LINKING = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in sorted(
        {*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("charts/*/*.md")}
    )
]


def links(page: Path) -> list[str]:
    """The targets of the page's links, but for addresses of the web."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the page's headings."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_the_index_lists_the_page(page: Path) -> None:
    listed = {(DOCS / target.partition("#")[0]).resolve() for target in links(INDEX)}

    assert page == INDEX or page.resolve() in listed


@pytest.mark.parametrize("page", LINKING)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_every_path_that_the_architecture_names_exists() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    paths = [path for row in rows for path in re.findall(r"`((?:[a-z_]+/)+[a-z_.]*)`", row)]
    paths = [path for path in paths if path.split("/")[0] in {child.name for child in ROOT.iterdir()}]

    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("shown", "contract"),
    [
        pytest.param(0, "packages share the API and the fetcher, and nothing else", id="packages"),
        pytest.param(1, "the operator has layers", id="operator"),
        pytest.param(2, "the trainer is built in layers, and names every one of its packages", id="trainer"),
    ],
)
def test_the_layers_that_the_architecture_shows_are_those_of_the_linter(shown: int, contract: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in settings["contracts"] if each["name"] == contract]
    own = [layer.replace("trainyard_operator.", "") for layer in layers]
    if contract == "the operator has layers":
        own.remove("trainyard_api")

    assert blocks(DOCS / "architecture.md", "text")[shown].splitlines() == own


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in prose.pages(ROOT)])
def test_the_page_is_easy_to_read(page: Path) -> None:
    measured = prose.measure([page.read_text(encoding="utf-8")])

    assert measured.median < 15, "half of the sentences are shorter than 15 words"
    assert measured.ninth <= 25, "nine of ten sentences have at most 25 words"


def test_the_pages_talk_to_their_readers() -> None:
    measured = prose.measure([page.read_text(encoding="utf-8") for page in prose.pages(ROOT)])

    assert measured.you >= 12, "`you` in 1,000 words, in all pages together"


def test_troubleshooting_has_every_reason_of_the_operator_and_the_fetch() -> None:
    # A reason is the first argument of a Blocker or a FetchError, or a constant of the module that all blockers share.
    code = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("operator/trainyard_operator", "fetcher/trainyard_fetcher", "trainer/trainyard_trainer")
        for file in sorted((ROOT / folder).rglob("*.py"))
    )
    shared = (ROOT / "operator/trainyard_operator/workloads/blockers.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'(?:Blocker|FetchError)\(\s*"([A-Z][A-Za-z]+)"', code))
    reasons |= {
        word
        for line in re.findall(r"^[A-Z_, ]+ = (.*)$", shared, re.MULTILINE)
        for word in re.findall(r'"(\w+)"', line)
    }
    page = (DOCS / "how-to/troubleshooting.md").read_text(encoding="utf-8")

    assert {"ServerCrashed", "Unschedulable", "CorruptModel"} <= reasons
    assert {reason for reason in reasons if not re.search(rf"\b{reason}\b", page)} == set()
