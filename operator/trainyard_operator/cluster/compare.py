"""Whether an object is as it is wanted."""

from decimal import Decimal
from typing import Any

from trainyard_api.quantities import parse_quantity


def covers(live: Any, wanted: Any) -> bool:
    """Return whether everything wanted is already there; what else is there (defaults, others' fields) is no matter.

    Lists must agree in length and order; an empty wanted value is covered by none. So a field that may be left out of a
    later spec is wanted as null, which is covered by its absence alone: nobody but the builder knows it from a default.
    Under `requests` and `limits`
    quantities compare by value, since the API server rewrites `1000m` to `1`.
    """
    if isinstance(wanted, dict):
        return isinstance(live or {}, dict) and all(
            _same_amounts((live or {}).get(key), value) if key in _AMOUNTS else covers((live or {}).get(key), value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        live = live or []
        return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
    if wanted is None or wanted is False or wanted == "":
        return not live and (live is None or type(live) is type(wanted) or wanted is None)
    return type(live) is type(wanted) and bool(live == wanted)


def _same_amounts(live: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict) or not isinstance(live or {}, dict):
        return covers(live, wanted)
    return all(
        covers((live or {}).get(name), value)
        or ((wanted_amount := amount(value)) is not None and wanted_amount == amount((live or {}).get(name)))
        for name, value in wanted.items()
    )


_AMOUNTS = ("requests", "limits")


def amount(quantity: object) -> Decimal | None:
    """Return a Kubernetes quantity as a number, or None where it is not one."""
    try:
        return parse_quantity(quantity)
    except ValueError:
        return None
