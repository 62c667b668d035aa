"""Prints the shape of every package: sizes, import cycles, how often `Any` stands for a type, duplicate class names."""

import argparse
import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = "_pb2.py"


@dataclass(frozen=True, slots=True)
class Module:
    """One file: its dotted name, and what this report needs of it."""

    name: str
    lines: int
    functions: tuple[int, ...]
    """Lines of each function and method, nested ones too."""
    classes: tuple[str, ...]
    any_count: int
    imports: frozenset[str]
    """Dotted names, as they are written: modules, and what is taken from them."""


@dataclass(frozen=True, slots=True)
class Package:
    """A top-level package."""

    name: str
    modules: tuple[Module, ...]

    def module_imports(self) -> dict[str, set[str]]:
        """Return which modules of the package each one imports."""
        names = {module.name for module in self.modules}
        return {module.name: set(_targets(module.imports, names)) - {module.name} for module in self.modules}

    def part_imports(self) -> dict[str, set[str]]:
        """Return which parts of the package each part imports. A part is a folder or file right below the package."""
        parts: dict[str, set[str]] = {}
        for name, imported in self.module_imports().items():
            own = _part(name)
            parts.setdefault(own, set()).update({_part(other) for other in imported} - {own})
        return parts

    def cycles(self) -> list[list[str]]:
        """Return the groups of modules, and of parts, that import each other; each of them sorted."""
        return cycles(self.module_imports()) + cycles(self.part_imports())

    def duplicate_classes(self) -> list[str]:
        """Return the names that more than one top-level class has."""
        counts = Counter(name for module in self.modules for name in module.classes)
        return sorted(name for name, count in counts.items() if count > 1)

    @property
    def any_count(self) -> int:
        """How often `Any` is written as a type."""
        return sum(module.any_count for module in self.modules)


def read_package(folder: Path) -> Package:
    """Return the package in a folder, without generated files."""
    paths = sorted(path for path in folder.rglob("*.py") if not path.name.endswith(GENERATED))
    return Package(folder.name, tuple(_read_module(path, folder.parent) for path in paths))


def packages(root: Path = ROOT) -> list[Package]:
    """Return all packages of the repository: each is a folder `*/trainyard*` with an `__init__.py`, and the tools."""
    folders = sorted(path.parent for path in root.glob("*/trainyard*/__init__.py"))
    return [read_package(folder) for folder in (*folders, root / "tools")]


def cycles(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one node (Tarjan, 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        numbers[node] = lowest[node] = len(numbers)
        stack.append(node)
        for other in sorted(imports.get(node, ())):
            if other not in numbers:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], numbers[other])
        if lowest[node] == numbers[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(imports):
        if node not in numbers:
            visit(node)
    return sorted(found)


def _part(module: str) -> str:
    """Return `fitting` for pkg.fitting.loop; a package's own file is a part by itself."""
    return module.split(".")[1] if "." in module else "__init__"


def _targets(imported: Set[str], modules: Set[str]) -> Iterator[str]:
    """Yield the modules that dotted names lead to: `pkg.module.Name` leads to pkg.module."""
    for name in imported:
        parent = name.rpartition(".")[0]
        if name in modules:
            yield name
        elif parent in modules:
            yield parent


def _read_module(path: Path, root: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    parts = path.relative_to(root).with_suffix("").parts
    return Module(
        name=".".join(parts[:-1] if parts[-1] == "__init__" else parts),
        lines=text.count("\n"),
        functions=tuple((function.end_lineno or 0) - function.lineno + 1 for function in functions),
        classes=tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef)),
        any_count=sum(map(_is_any, nodes)),
        imports=frozenset(_imports(nodes)),
    )


def _is_any(node: ast.AST) -> bool:
    """Return whether a node is `Any` or `typing.Any`, where it is used."""
    return (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")


def _imports(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def report(found: Sequence[Package]) -> Iterator[str]:
    """Yield a line for each package, and below it its cycles and duplicate names."""
    yield f"{'package':24}{'files':>7}{'median':>8}{'functions':>11}{'median':>8}{'cycles':>8}{'Any':>6}  duplicates"
    for package in found:
        lines = [module.lines for module in package.modules]
        functions = [length for module in package.modules for length in module.functions]
        rings, duplicates = package.cycles(), package.duplicate_classes()
        yield (
            f"{package.name:24}{len(lines):>7}{_median(lines):>8}{len(functions):>11}{_median(functions):>8}"
            f"{len(rings):>8}{package.any_count:>6}{len(duplicates):>12}"
        )
        yield from (f"    cycle: {', '.join(ring)}" for ring in rings)
        if duplicates:
            yield f"    duplicate class names: {', '.join(duplicates)}"


def _median(numbers: Sequence[int]) -> int:
    return round(statistics.median(numbers)) if numbers else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report."""
    argparse.ArgumentParser(prog="python -m tools.structure", description=__doc__).parse_args(arguments)
    print("\n".join(report(packages())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
