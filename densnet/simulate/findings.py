"""What a check of an input has to say."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["wrong", "dangerous", "slow", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know about an input.

    Parameters
    ----------
    severity : str
        ``wrong``: will not run or gives wrong numbers; ``dangerous``: may hang or lose data;
        ``slow``; ``note``.
    where : str
        Element.
    message : str
        What, and what to write instead.
    """

    severity: Severity
    where: str
    message: str
