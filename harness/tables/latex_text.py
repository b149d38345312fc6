"""Plain text for pdflatex: escapes, and the few symbols that its input encoding lacks."""

from __future__ import annotations

import unicodedata

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


def escape(text: str) -> str:
    """Return `text` for LaTeX. What no font of pdflatex has becomes its code point, never an error."""
    return "".join(_SPECIAL.get(char) or _plain(char) for char in unicodedata.normalize("NFC", text))


def prose(text: str) -> str:
    """Return running text for LaTeX: escaped, with the subscripts of names."""
    return "".join(_low(piece) if is_low else escape(piece) for piece, is_low in pieces(text))


def _low(text: str) -> str:
    return f"$_{{{text}}}$" if text.islower() else rf"$_{{\mathrm{{{text}}}}}$"


def comment(text: str) -> str:
    """Return `text` as one LaTeX comment line."""
    return "% " + " ".join(text.split())


def _plain(char: str) -> str:
    if char.isspace() or unicodedata.category(char).startswith("C"):
        return " "
    # pdflatex's utf8 input and T1 fonts cover Latin-1 and Latin Extended-A letters.
    if ord(char) < 0x80 or (char.isalpha() and ord(char) < 0x180):
        return char
    simple = unicodedata.normalize("NFKD", char)
    if simple.isascii() and simple != char:
        return escape(simple)
    return rf"\texttt{{U+{ord(char):04X}}}"
