"""Lines at the bottom of a terminal that stay there, while whatever else is written scrolls above them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

SAVE_CURSOR = "\x1b7"
RESTORE_CURSOR = "\x1b8"
ALL_ROWS_SCROLL = "\x1b[r"  # moves the cursor, too
CLEAR_BELOW = "\x1b[J"
CLEAR_LINE = "\x1b[K"
MIN_ROWS = 8


def can_be_drawn_on(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that understands cursor movements and has rows to spare."""
    if not stream.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    return os.get_terminal_size(stream.fileno()).lines >= MIN_ROWS


class Footer:
    """The last rows of a terminal.

    Jobs write to the same terminal, and not through this process. So the other rows are made the region that scrolls:
    the terminal itself then keeps their lines and these apart.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream
        self.shown: list[str] = []
        self.size: os.terminal_size | None = None

    def width(self) -> int:
        return os.get_terminal_size(self.stream.fileno()).columns

    def height(self) -> int:
        return os.get_terminal_size(self.stream.fileno()).lines

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, each no wider than the terminal; writes nothing where they are already there."""
        size = os.get_terminal_size(self.stream.fileno())
        if list(lines) == self.shown and size == self.size:
            return
        text = ""
        if size != self.size:
            # a terminal that changed its size may have moved the old rows anywhere below the cursor
            text += SAVE_CURSOR + ALL_ROWS_SCROLL + RESTORE_CURSOR + CLEAR_BELOW
            self.shown = []
        first = size.lines - len(lines) + 1
        grows = len(lines) - len(self.shown)
        if grows > 0:
            # line feeds scroll only as far as needed to free the rows
            text += "\n" * grows + f"\x1b[{grows}A"
        if grows:
            text += f"{SAVE_CURSOR}\x1b[1;{first - 1}r{RESTORE_CURSOR}"
        text += SAVE_CURSOR
        for row in range(size.lines - len(self.shown) + 1, first):
            text += f"\x1b[{row};1H{CLEAR_LINE}"
        for i, line in enumerate(lines):
            text += f"\x1b[{first + i};1H{line}{CLEAR_LINE}"
        text += RESTORE_CURSOR
        self._write(text)
        self.shown = list(lines)
        self.size = size

    def remove(self) -> None:
        """Give all rows back; the cursor stands where the next line belongs."""
        if self.size is not None:
            self._write(SAVE_CURSOR + ALL_ROWS_SCROLL + RESTORE_CURSOR + CLEAR_BELOW)
        self.shown = []
        self.size = None

    def _write(self, text: str) -> None:
        # in one piece, so that a job's line cannot come between
        self.stream.write(text)
        self.stream.flush()
