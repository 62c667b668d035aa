"""Carries the version of pyproject.toml to the files that must write it out: `make bump VERSION=0.2.0`."""

import argparse
import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_FOLDERS = ("charts", "docs", "examples", "manifests")
_WRITTEN = re.compile(
    r"""(?P<before>
          \btrainyard/(?:operator|trainer):           # an image
        | \bapp\.kubernetes\.io/version:\ "?          # a label
        | ^(?:version|appVersion):\ "?                # the chart's own
    )\d+\.\d+\.\d+""",
    re.VERBOSE | re.MULTILINE,
)
_PROJECT = re.compile(r'(?P<before>^version = ")[^"]+', re.MULTILINE)
_UNRELEASED = "## [Unreleased]\n"


def project_version(root: Path) -> str:
    """Return the version in pyproject.toml, the one source of all others."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def written_files(root: Path, version: str) -> dict[Path, str]:
    """Return the files that write the version out, with the text that they should have."""
    folders = [path for folder in _FOLDERS for path in sorted((root / folder).rglob("*.*"))]
    paths = [root / "README.md", *(path for path in folders if path.suffix in (".md", ".yaml"))]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    return {path: _replaced(_WRITTEN, text, version) for path, text in texts.items() if _WRITTEN.search(text)}


def bumped_files(root: Path, version: str, today: date) -> dict[Path, str]:
    """Return every file that a new version changes, with its new text."""
    project, changelog = root / "pyproject.toml", root / "CHANGELOG.md"
    released = f"{_UNRELEASED}\n## [{version}] - {today.isoformat()}\n"
    return {
        project: _replaced(_PROJECT, project.read_text(encoding="utf-8"), version),
        changelog: changelog.read_text(encoding="utf-8").replace(_UNRELEASED, released, 1),
        **written_files(root, version),
    }


def _replaced(pattern: re.Pattern[str], text: str, version: str) -> str:
    return pattern.sub(lambda found: found["before"] + version, text)


def main() -> None:
    """Write a new version into every file that names it."""
    parser = argparse.ArgumentParser(prog="python -m tools.version", description=__doc__)
    parser.add_argument("version", help="the new version, like 0.2.0")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository (default: this folder)")
    arguments = parser.parse_args()
    if not _VERSION.fullmatch(arguments.version):
        parser.error(f"expected three numbers like 0.2.0, got {arguments.version!r}")
    if (old := project_version(arguments.root)) == arguments.version:
        parser.error(f"the version is {old} already")
    for path, text in bumped_files(arguments.root, arguments.version, datetime.now(UTC).date()).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
