"""Measures how pages read: `python -m tools.prose [PAGE ...]` prints sentence lengths and how often "you" occurs.

Code blocks, tables, headings and comments do not count: a sentence there has other rules.
"""

import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCKS = re.compile(r"```.*?```|<!--.*?-->", re.DOTALL)
_IGNORED = re.compile(r"^(#|\||\s*$)")
_ITEM = re.compile(r"^\s*(?:[*+-]|\d+\.)\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+")


@dataclass(frozen=True, slots=True)
class Prose:
    """How a page reads.

    Attributes:
        words: Words in its prose.
        median: Median of the words in a sentence.
        ninth: The length that nine of ten sentences keep to.
        you: "you", "your" and "yours" in a thousand words.
        pronouns: "it", "that", "what" and "who" in a thousand words.
    """

    words: int
    median: float
    ninth: float
    you: float
    pronouns: float


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs and list items of a Markdown text, each on one line."""
    found: list[list[str]] = []
    fresh = True
    for line in _BLOCKS.sub("\n\n", text).splitlines():
        if _IGNORED.match(line):
            fresh = True
            continue
        if fresh or _ITEM.match(line):
            found.append([])
        fresh = False
        found[-1].append(_ITEM.sub("", line).strip())
    return [_LINK.sub(r"\1", " ".join(lines)) for lines in found]


def sentences(text: str) -> list[str]:
    """Return the sentences of a Markdown text."""
    return [sentence for paragraph in paragraphs(text) for sentence in _END.split(paragraph) if sentence.strip()]


def measure(texts: Sequence[str]) -> Prose:
    """Measure the prose of some pages together."""
    found = [sentence for text in texts for sentence in sentences(text)]
    lengths = sorted(len(sentence.split()) for sentence in found)
    words = re.findall(r"[a-z']+", " ".join(found).lower())
    share = 1000 / max(1, len(words))
    return Prose(
        words=len(words),
        median=statistics.median(lengths) if lengths else 0,
        ninth=lengths[int(len(lengths) * 0.9)] if lengths else 0,
        you=share * sum(word in ("you", "your", "yours") for word in words),
        pronouns=share * sum(word in ("it", "that", "what", "who") for word in words),
    )


def pages(root: Path) -> list[Path]:
    """Return the pages that people write: all but the generated reference of fields."""
    found = [root / "README.md", root / "charts/trainyard/README.md"]
    found += [*root.glob("examples/*/README.md"), *root.glob("docs/**/*.md")]
    return sorted(page for page in found if page.name != "fields.md")


def main(arguments: Sequence[str]) -> None:
    """Print a line for each page, and one for all of them."""
    chosen = [Path(argument) for argument in arguments] or pages(Path())
    texts = {str(page): page.read_text(encoding="utf-8") for page in chosen}
    print(f"{'page':50} {'words':>6} {'median':>6} {'90 %':>5} {'you':>5} {'it/that':>7}")
    for name, measured in [
        *((name, measure([text])) for name, text in texts.items()),
        ("all", measure([*texts.values()])),
    ]:
        print(
            f"{name:50} {measured.words:6} {measured.median:6.1f} {measured.ninth:5.0f} "
            f"{measured.you:5.1f} {measured.pronouns:7.1f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
