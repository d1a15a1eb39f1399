"""Output for terminals and pipes that cannot show every character: readable stand-ins instead of an error."""

from __future__ import annotations

import codecs
import sys
import unicodedata

STAND_INS = {
    "–": "-", "—": "-", "−": "-", "…": "...", "·": "*", "×": "x", "±": "+-", "→": "->", "←": "<-", "≤": "<=",
    "≥": ">=", "≈": "~", "‖": "||", "’": "'", "′": "'", "“": '"', "”": '"', "√": "sqrt ", "∞": "inf", "°": " deg",
    "λ": "lambda", "⁄": "/",
}  # fmt: skip
"""What is written for a character that an output cannot encode; see `stand_in` for the others."""

DOTS = " .:*#"
"""Stand-ins for braille characters, from none of their eight dots to all."""


def never_fail_to_print() -> None:
    """Let standard output and standard error replace what their encodings lack, as under LANG=C."""
    codecs.register_error("softstep.stand_in", _replace)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # streams of other programs may have none
        if reconfigure is not None:
            reconfigure(errors="softstep.stand_in")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for the characters that could not be encoded, and where to go on: an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(stand_in, error.object[error.start : error.end])), error.end


def stand_in(character: str) -> str:
    """Return ASCII that can be read in place of a character; `?` for those without a likeness.

    Greek letters become their names. Lines of boxes, bars and dots of braille keep their width.
    """
    if character in STAND_INS:
        return STAND_INS[character]
    if 0x2800 <= ord(character) < 0x2900:
        dots = (ord(character) - 0x2800).bit_count()
        return DOTS[(dots + 1) // 2]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.partition(" LETTER ")[2].partition(" ")[0].lower()
        return letter.capitalize() if "CAPITAL" in name else letter
    if name.startswith("BOX DRAWINGS"):
        across, down = "HORIZONTAL" in name, "VERTICAL" in name
        return "|" if down and not across else "-" if across and not down else "+"
    return _without_accents(character)


def _without_accents(character: str) -> str:
    """Return the plain characters of which one is made, such as e of é, 1/2 of ½ and ^3 of ³; `?` if it is none."""
    parts = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    if not parts or parts == [character]:
        return "?"
    plain = "".join(part if part.isascii() else stand_in(part) for part in parts)
    return f"^{plain}" if unicodedata.decomposition(character).startswith("<super>") else plain
