#!/usr/bin/python3
"""A screen of the TUI as an SVG picture, from a golden screen of the tests: screen.py tests/tui/golden/NAME.txt >docs/NAME.svg

Below the text of a golden screen stands its plane of roles: what each cell means. tui/roles.def has a colour for each role; here
are the same, for a dark background.
"""
import html
import sys
from itertools import groupby

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 17, 10
BACK, FRONT = "#1c1c1c", "#d0d0d0"
# letter in the plane: colour, bold, reversed
ROLES = {
    ".": (FRONT, 0, 0), "d": ("#808080", 0, 0), "T": (FRONT, 1, 1), "B": (FRONT, 0, 1), "k": (FRONT, 1, 1),
    "h": ("#808080", 0, 0), "H": (FRONT, 1, 0), "F": (FRONT, 0, 1), "|": (FRONT, 0, 1), "!": ("#e05050", 1, 0),
    "L": ("#d7a520", 1, 0), "G": ("#c678dd", 1, 0), "K": ("#3aa6c9", 1, 0), "r": ("#4fbf4f", 0, 0),
    "w": ("#6f9fff", 0, 0), "i": ("#808080", 0, 0), "S": (FRONT, 1, 0), "m": ("#d7a520", 0, 0), "g": ("#4fbf4f", 1, 0),
}


def main(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    middle = lines.index("-- roles")
    text, roles = lines[:middle], lines[middle + 1:]
    width = max(map(len, text))
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="14">'
        % (width * CELL_WIDTH + 2 * MARGIN, len(text) * CELL_HEIGHT + 2 * MARGIN),
        '<rect width="100%%" height="100%%" rx="6" fill="%s"/>' % BACK,
    ]
    for y, line in enumerate(text):
        plane = (roles[y] if y < len(roles) else "").ljust(width)
        line = line.ljust(width)
        top = MARGIN + y * CELL_HEIGHT
        for role, cells in groupby(range(width), key=lambda x: plane[x]):
            cells = list(cells)
            part = line[cells[0]:cells[-1] + 1]
            colour, bold, reverse = ROLES.get(role, ROLES["."])
            left = MARGIN + cells[0] * CELL_WIDTH
            if reverse:
                out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>'
                           % (left, top, len(cells) * CELL_WIDTH, CELL_HEIGHT, colour))
            if part.strip():
                out.append('<text x="%.1f" y="%d" textLength="%.1f" xml:space="preserve" fill="%s"%s>%s</text>'
                           % (left, top + 13, len(cells) * CELL_WIDTH, BACK if reverse else colour,
                              ' font-weight="bold"' if bold else "", html.escape(part)))
    print("\n".join(out + ["</svg>"]))


main(sys.argv[1])
