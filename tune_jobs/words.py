"""Put values into words, for messages and tables."""

from __future__ import annotations

import re
from collections.abc import Callable

_PLACES = re.compile(
    r"^Detected at node .* defined at \(most recent call last\):$|^ *File .*, line \d+, in .*$|\[\[\{\{node .*$",
    re.MULTILINE,
)

Say = Callable[[str], None]  # shows the user a message


def duration(seconds: float) -> str:
    """Return `8 s`, `2 min 5 s` or `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds(text: str) -> float:
    """Return the seconds of a time such as `90`, `90s`, `30m`, `2h` or `1h30m`.

    Raises:
        ValueError: the text is no time, or no time above 0.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    parts = match.groups() if match else ()
    total = sum(int(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise ValueError(f"needs a time such as 90s, 30m or 2h; got {text!r}")
    return float(total)


def counted(n: float, noun: str) -> str:
    """Return `1 trial`, `2 trials`, `0.5 trials` or `2 studies`."""
    plural = re.sub(r"([^aeiou])y$", r"\1ie", noun) + "s"
    return f"{n:.12g} {noun if n == 1 else plural}"


def times(count: int) -> str:
    """Return `never`, `once`, or `3 times`."""
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def ordinal(place: int) -> str:
    """Return `first`, `second`, `third`, `4th`, `21st`."""
    words = {1: "first", 2: "second", 3: "third"}
    ending = "th" if place // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return words.get(place, f"{place}{ending}")


def span(low: str, high: str) -> str:
    """Return a range of two numbers: `0.91-0.95`, and `-0.3 to -0.1` where one is negative."""
    return f"{low} to {high}" if low.startswith("-") or high.startswith("-") else f"{low}-{high}"


def short(value: object) -> str:
    """Return at most a few words of a value that may be anything."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    try:
        text = repr(value[:61] if isinstance(value, str | bytes) else value)
    except ValueError:  # a whole number of more digits than Python writes
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}…"


def printable(text: str, *, but: str = "") -> str:
    """Return text with a space for each character that moves a cursor, changes a terminal, hides others or cannot be
    written, except those of `but`. Whatever anybody else wrote is shown by way of this."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in but else " " for c in text)


def printable_lines(text: str) -> str:
    """Return text of several lines as `printable` does."""
    return printable(text, but="\n\t")


def one_line(error: BaseException) -> str:
    """Return an exception in one line of at most 300 characters, without the places in a graph of TensorFlow, which
    stand before what happened there and are longer."""
    text = " ".join(_PLACES.sub("", str(error)).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:300]
