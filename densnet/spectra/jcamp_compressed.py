"""Compressed tables of JCAMP-DX: squeezed (SQZ), difference (DIF) and duplicate (DUP) forms.

A letter is the first digit of a number and says what the number is: an ordinate, a difference to
the ordinate before, or how often the last of these occurs.

References
----------
McDonald and Wilks 1988, https://doi.org/10.1366/0003702884428734.
"""

import re

from densnet.errors import DataError

FIRST_DIGIT = {
    **{letter: ("ordinate", f"{digit}") for digit, letter in enumerate("@ABCDEFGHI")},
    **{letter: ("ordinate", f"-{digit}") for digit, letter in enumerate("abcdefghi", 1)},
    **{letter: ("difference", f"{digit}") for digit, letter in enumerate("%JKLMNOPQR")},
    **{letter: ("difference", f"-{digit}") for digit, letter in enumerate("jklmnopqr", 1)},
    **{letter: ("count", f"{digit}") for digit, letter in enumerate("STUVWXYZs", 1)},
    **{sign: ("ordinate", sign) for sign in "+- "},
}
ABSCISSA = re.compile(r"\s*[+-]?\d+\.?\d*|\s*[+-]?\.\d+")
NUMBER = re.compile(r"([@A-Za-s% +-])\s*(\d*\.?\d*)")
# Not e and E, which plain numbers may have.
COMPRESSED = re.compile(r"[@%A-DF-Za-df-s]")


def is_compressed(lines: list[str]) -> bool:
    """Whether a table, (X++(Y..Y)), has numbers of a compressed form."""
    return any(COMPRESSED.search(line) for line in lines)


def read_compressed(lines: list[str], where: str) -> tuple[list[float], list[tuple[int, float]]]:
    """Expand a compressed table.

    Parameters
    ----------
    lines : list of str
    where : str
        What messages call the file.

    Returns
    -------
    list of float
        The ordinates, not yet multiplied by YFACTOR.
    list of (int, float)
        Of every line, the number of its first ordinate and its abscissa, not yet multiplied.

    Raises
    ------
    DataError
        If a line is not of this form, or the ordinate that a line repeats from the one before, as a
        check, is another.
    """
    values: list[float] = []
    starts: list[tuple[int, float]] = []
    repeats_last = False
    for line in lines:
        abscissa = ABSCISSA.match(line)
        if abscissa is None:
            raise DataError(f"{where}: {line[:40]!r} does not begin with a number")
        n_before = len(values)
        kind = _read_line(line, abscissa.end(), values, where)
        if repeats_last:
            if n_before == len(values) or values[n_before] != values[n_before - 1]:
                raise DataError(
                    f"{where}: the line at {abscissa[0].strip()} does not begin with the last "
                    f"value of the line before, {values[n_before - 1]:g}: data are damaged"
                )
            del values[n_before]
            n_before -= 1
        starts.append((n_before, float(abscissa[0])))
        repeats_last = kind == "difference"
    return values, starts


def _read_line(line: str, position: int, values: list[float], where: str) -> str:
    """Append the ordinates of a line, whose abscissa ends at a position; return the last's kind."""
    kind, last = "", 0.0
    while position < len(line.rstrip()):
        found = NUMBER.match(line, position)
        if found is None or found[1] not in FIRST_DIGIT:
            raise DataError(
                f"{where}: {line[position : position + 12]!r} is not a compressed number"
            )
        position = found.end()
        meaning, first = FIRST_DIGIT[found[1]]
        try:
            number = float(first + found[2])
        except ValueError as error:
            raise DataError(f"{where}: {found[0]!r} is not a number") from error
        if meaning == "count":
            if not kind:
                raise DataError(f"{where}: {found[0]!r} repeats nothing, at the start of a line")
            repeated, meaning = int(number) - 1, kind
        else:
            repeated, kind, last = 1, meaning, number
        for _ in range(repeated):
            values.append(values[-1] + last if kind == "difference" else last)
    return kind
