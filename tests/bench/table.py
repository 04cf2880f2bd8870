"""table.py ROWS [FILE]: the rows (one JSON object a line) as a table, and as a JSON array in FILE."""

import json
import sys

KEYS = ("bench", "row", "value", "unit", "goal", "pass", "peer", "peer_value", "ratio")


def text(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return "%.3g" % value if isinstance(value, float) else str(value)


def main():
    with open(sys.argv[1]) as f:
        rows = [{key: row.get(key) for key in KEYS} for row in map(json.loads, filter(str.strip, f))]
    if len(sys.argv) > 2 and sys.argv[2]:
        with open(sys.argv[2], "w") as f:
            json.dump(rows, f, indent=1)
            f.write("\n")
    table = [KEYS] + [[text(row[key]) for key in KEYS] for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(KEYS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


main()
