"""What a person may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any


def hint(value: Any, known: Sequence[str]) -> str:
    """Return " (did you mean ...?)" where a known name is close to the value, else ""."""
    close = difflib.get_close_matches(str(value), list(map(str, known)), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
