"""Lays out Python source as the formatter does: literals, calls and lists of them within the width of a line."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 120


def call(function: str, severity: str, *positional: str, **named: str | list[str]) -> str:
    """A call as an entry of a list, laid out as the formatter does. Lists are those of literals."""
    arguments: dict[str, str | list[str]] = {**{value: value for value in positional}, **named, "meta": severity}
    flat = [
        name if name in positional else f"{name}={value if isinstance(value, str) else '[' + ', '.join(value) + ']'}"
        for name, value in arguments.items()
    ]
    pad = " " * 8
    line = f"{pad}{function}({', '.join(flat)}),"
    if len(line) <= WIDTH:
        return line
    inner = f"{pad}    {', '.join(flat)}"
    if len(inner) <= WIDTH:
        return f"{pad}{function}(\n{inner}\n{pad}),"
    lines = [
        f"{pad}    {shown}," if isinstance(value, str) else bracketed(f"{name}=[", value, "],", indent=12)
        for shown, (name, value) in zip(flat, arguments.items(), strict=True)
    ]
    return "\n".join([f"{pad}{function}(", *lines, f"{pad}),"])


def bracketed(opening: str, entries: Sequence[str], closing: str, indent: int) -> str:
    """A literal of a collection: on one line where that has room, else an entry a line."""
    pad = " " * indent
    line = f"{pad}{opening}{', '.join(entries)}{closing}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{pad}{opening}", *(f"{pad}    {entry}," for entry in entries), f"{pad}{closing}"])


def number(value: float) -> str:
    shown = str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return shown.replace("e+", "e")


def text(value: str) -> str:
    """A string literal as the formatter writes it: in double quotes where that does not need more escapes."""
    quote = '"' if value.count('"') <= value.count("'") else "'"
    return quote + "".join(map(_escaped, value)).replace(quote, "\\" + quote) + quote


def _escaped(character: str) -> str:
    """Letters of western languages as they are; others might look like ASCII ones, which the linter refuses."""
    plain = character.isascii() or ("\u00c0" <= character <= "\u00ff" and character.isalpha())
    return (repr if plain else ascii)(character)[1:-1]
