"""HTML that is safe by how it is made: whatever is not `Markup` is text, and is escaped."""

from html import escape
from typing import TypeAlias


class Markup(str):
    """HTML as it is to be sent."""

    __slots__ = ()


Child: TypeAlias = "str | int | Markup | None"
# Of HTML only: shapes of SVG have to be closed, or what follows would be inside of them.
_EMPTY = frozenset({"input", "link", "meta"})


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element. A name such as `class_` or `aria_label` stands for `class` and `aria-label`.

    Attributes that are None or False are left out; True stands for one without a value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{together(*children)}</{name}>")


def together(*children: Child) -> Markup:
    """Return one after the other."""
    return Markup(
        "".join(each if isinstance(each, Markup) else escape(str(each)) for each in children if each is not None)
    )


def _attribute(key: str, value: str | int | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
