"""Plain text for pdflatex: escapes, the symbols that its input encoding lacks, other writing in Latin letters."""

from __future__ import annotations

import re
import unicodedata

from anyascii import anyascii

from harness.tables.prose import pieces

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row it would be the argument of the row before
    "]": "{]}",
    "*": "{*}",  # the same
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "†": r"$\dagger$",
    "·": r"$\cdot$",
    "…": r"\dots{}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "’": "'",
    "²": r"$^2$",
    "³": r"$^3$",
    "°": r"$^\circ$",
    "→": r"$\rightarrow$",
}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
_SPECIAL |= {unicodedata.lookup(f"GREEK SMALL LETTER {name.upper().replace('LAMBDA', 'LAMDA')}"): f"$\\{name}$"
             for name in _GREEK.split()}  # fmt: skip
_NOT_IN_T1 = frozenset("ĦħĸĿŀŉŦŧſ")
_LIGATURE = re.compile(r"([-,'?!])(?=[-,'`])")


def escape(text: str) -> str:
    """Return `text` for LaTeX: what pdflatex's fonts lack is transliterated, or becomes its code point."""
    parts = _LIGATURE.split(unicodedata.normalize("NFC", text))
    joined = ["".join(_SPECIAL.get(char) or _plain(char) for char in part) for part in parts]
    return "".join(part + "{}" if number % 2 else part for number, part in enumerate(joined))


def prose(text: str) -> str:
    """Return running text for LaTeX: escaped, with the subscripts of names."""
    return "".join(_low(piece) if is_low else escape(piece) for piece, is_low in pieces(text))


def _low(text: str) -> str:
    return f"$_{{{text}}}$" if text.islower() else rf"$_{{\mathrm{{{text}}}}}$"


def comment(text: str) -> str:
    """Return `text` as one LaTeX comment line."""
    return "% " + " ".join(text.split())


def _plain(char: str) -> str:
    kind = unicodedata.category(char)
    if char.isspace() or kind.startswith("C"):
        return " "
    # pdflatex's utf8 input and T1 fonts cover Latin-1 and nearly all Latin Extended-A letters.
    if ord(char) < 0x80 or (char.isalpha() and ord(char) < 0x180 and char not in _NOT_IN_T1):
        return char
    if kind.startswith("M"):
        return ""  # an accent that no letter could take
    latin = anyascii(char)
    return "".join(_SPECIAL.get(part, part) for part in latin) or rf"\texttt{{U+{ord(char):04X}}}"
