"""What ``--fail-on`` asks for: findings of a command that are to make it fail."""

from __future__ import annotations

from featx.errors import nearest

ALARMS = ("drift", "ood", "abstained", "quarantined")

FAIL_ON = (
    "Exit with code 4 on these findings, after writing all output: drift, ood, abstained and "
    "quarantined, each at its warning level or above a share such as ood=0.2,abstained=0.5; "
    "drift=0.01 is a p-value."
)


def parse_alarms(text: str) -> dict[str, float | None]:
    """``drift,ood=0.2`` as names with their limits; None is where it would be warned of.

    Raises
    ------
    ValueError
        A name that is none of `ALARMS`, one given twice, or a limit that is no share.
    """
    found: dict[str, float | None] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in ALARMS:
            guess = nearest(name, ALARMS)
            meant = f"; did you mean {guess!r}?" if guess else ""
            raise ValueError(f"{name!r} is not one of {', '.join(ALARMS)}{meant}")
        if name in found:
            raise ValueError(f"{name} is named twice")
        found[name] = _share(name, value) if equals else None
    return found


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={text} is not a share from 0 to 1, such as {name}=0.2")
    return value


def check_alarms(text: str | None) -> str | None:
    """Text that `parse_alarms` reads, or None; anything else is a ValueError."""
    if text is not None:
        parse_alarms(text)
    return text
