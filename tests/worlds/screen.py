"""A terminal's screen, as far as this program steers one: what is seen there once everything was written."""

import re

_PIECE = re.compile(r"\x1b\[(\??\d*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


class Screen:
    """Rows of text and a cursor. What it does not know, it refuses."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = [""]
        self._row = self._column = 0
        self._wraps = True

    def write(self, text: str) -> None:
        """Show what is written."""
        for parameter, final, begin, line_end, words in _PIECE.findall(text):
            if final:
                self._steer(parameter, final)
            elif begin:
                self._column = 0
            elif line_end:
                self._row, self._column = self._row + 1, 0
            for character in words:
                self._put(character)
            while len(self.rows) <= self._row:
                self.rows.append("")

    def _put(self, character: str) -> None:
        if self._column == self.columns:
            if self._wraps:
                self._row, self._column = self._row + 1, 0
                self.rows.append("")
            else:
                self._column -= 1
        row = self.rows[self._row].ljust(self._column)
        self.rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _steer(self, parameter: str, final: str) -> None:
        match parameter, final:
            case "?7", "l" | "h":
                self._wraps = final == "h"
            case "", "K" | "J":
                self.rows[self._row] = self.rows[self._row][: self._column]
                if final == "J":
                    del self.rows[self._row + 1 :]
            case _:
                raise AssertionError(f"steers the terminal by {parameter}{final}")
