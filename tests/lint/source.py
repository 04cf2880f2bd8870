"""C sources as the rules see them: without comments, with or without strings, and cut into functions."""

import re

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/)
  | (?P<slashes>//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])*')
""", re.S | re.X)


def blank(text):
    """Spaces for everything but newlines, so that lines and columns stay."""
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One C file. `code` has neither comments nor string contents; `strings` are (line, contents)."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.strings = []
        self.slash_comments = []
        self.code = TOKEN.sub(self._token, text)

    def _token(self, m):
        line = self.text.count("\n", 0, m.start()) + 1
        if m.group("comment"):
            return blank(m.group(0))
        if m.group("slashes"):
            self.slash_comments.append(line)
            return blank(m.group(0))
        if m.group("string"):
            self.strings.append((line, m.group("string")[1:-1]))
        return m.group(0)[0] + blank(m.group(0)[1:-1]) + m.group(0)[-1]

    @property
    def lines(self):
        return self.text.split("\n")

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        """(line, path) of every #include "path"."""
        for n, line in enumerate(self.lines, 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if m:
                yield n, m.group(1)

    def system_includes(self):
        for n, line in enumerate(self.lines, 1):
            m = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if m:
                yield n, m.group(1)

    def calls(self, names):
        """(line, name) of every call of one of these functions; members of structs are no such calls."""
        pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(map(re.escape, sorted(names))))
        for m in pattern.finditer(self.code):
            yield self.line_of(m.start()), m.group(1)

    def functions(self):
        """(line, name, parameters, lines of the body). The brace of a body stands alone in the first column."""
        lines = self.code.split("\n")
        for n, line in enumerate(lines):
            if line.rstrip() != "{":
                continue
            end = next((k for k in range(n + 1, len(lines)) if lines[k].rstrip() == "}"), None)
            first = n
            while first > 0 and lines[first - 1].strip() and not lines[first - 1].rstrip().endswith((";", "}")):
                first -= 1
            head = " ".join(lines[first:n])
            m = re.search(r"(\w+)\s*\((.*)\)\s*$", head)
            if end is None or not m:
                continue
            # The types of libsystemd's callbacks are not ours to choose.
            n_parameters = 0 if "sd_bus_error *" in m.group(2) else parameters(m.group(2))
            yield first + 1, m.group(1), n_parameters, end - n - 1


def parameters(text):
    """How many parameters there are in the text between a function's parentheses."""
    if text.strip() in ("", "void"):
        return 0
    depth, n = 0, 1
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        n += c == "," and depth == 0
    return n
