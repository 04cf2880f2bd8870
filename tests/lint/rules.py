"""The rules that sources are held to. Each takes a Tree and yields "FILE:LINE: what is wrong"."""

import os
import re

from source import Source

MAX_FILE = 600
MAX_FUNCTION = 60
MAX_PARAMETERS = 6
MAX_COLUMNS = 110

# DESIGN.md, section 4: dependencies go down only. ctl is a program of its own and reads what the daemon wrote.
ROOMS = {
    "base": {"base"},
    "model": {"model", "base"},
    "diagnose": {"diagnose", "model", "base"},
    "decide": {"decide", "model", "base"},
    "observe": {"observe", "model", "base"},
    "act": {"act", "model", "base"},
    "record": {"record", "model", "base"},
    "control": {"control", "model", "base"},
    "config": {"config", "model", "base"},
    "ctl": {"ctl", "config", "control", "record", "model", "base"},
}
ENGINE_ROOMS = {"diagnose", "decide", "model", "base"}
ENGINE_PORTS = {"observe/source.h", "act/actuator.h", "record/recorder.h", "record/alert.h", "control/handler.h"}

# Values in, values out: what a pure room may neither call nor include.
PURE = ("model", "diagnose", "decide")
IMPURE_CALLS = {
    "now_read", "clock_gettime", "gettimeofday", "time", "timerfd_create", "localtime", "localtime_r", "gmtime",
    "open", "openat", "openat2", "creat", "close", "read", "write", "pread", "pwrite", "readv", "writev", "ioctl", "fcntl",
    "fopen", "fdopen", "freopen", "fclose", "fread", "fwrite", "fputs", "puts", "putchar", "perror",
    "printf", "fprintf", "vprintf", "vfprintf", "dprintf", "syslog", "vsyslog", "sd_journal_send", "sd_journal_print",
    "stat", "lstat", "fstat", "fstatat", "statx", "statfs", "access", "faccessat", "readlink", "realpath", "getcwd",
    "opendir", "fdopendir", "readdir", "scandir", "nftw", "glob", "mkdir", "mkdirat", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "rmdir", "link", "symlink", "chmod", "fchmod", "chown", "fchown", "fsync", "fdatasync",
    "getenv", "secure_getenv", "setenv", "getpid", "getuid", "geteuid", "getpwnam", "getpwnam_r", "getgrnam", "getgrnam_r",
    "kill", "fork", "vfork", "execv", "execve", "execvp", "posix_spawn", "posix_spawnp", "waitpid", "waitid", "syscall",
    "socket", "connect", "bind", "listen", "accept4", "send", "recv", "poll", "sleep", "usleep", "nanosleep",
    "rand", "random", "srand", "getrandom", "arc4random", "exit", "_exit", "abort", "gethostname", "uname", "sysconf",
}
IMPURE_HEADERS = {
    "base/disk.h", "base/file.h", "base/worker.h", "base/runner.h", "systemd/sd-event.h", "systemd/sd-bus.h",
    "systemd/sd-journal.h", "fcntl.h", "dirent.h", "sys/socket.h", "sys/wait.h", "syslog.h", "pwd.h", "grp.h",
    "signal.h", "spawn.h", "ftw.h", "glob.h",
}

# Anywhere in the daemon: no shell, nothing that overruns a buffer, nothing that blocks the loop or guesses.
FORBIDDEN_CALLS = {
    "system", "popen", "sprintf", "vsprintf", "gets", "strcpy", "strcat", "strncpy", "strtok", "mktemp", "tmpnam",
    "tempnam", "atoi", "atol", "atoll", "atof", "alloca", "sleep", "usleep", "vfork", "setjmp", "longjmp",
    "execl", "execlp", "execle", "gmtime", "localtime", "ctime", "asctime", "readdir_r",
    "gethostbyname", "pcre2_jit_compile",
}
SHELLED = re.compile(r"\b(systemctl|journalctl)\b|^(?:/usr)?(?:/bin/)?(?:mv|cp|rm|sh|bash|dash)$")


class Tree:
    """The project's files, by path below its root."""

    SKIPPED = re.compile(r"^(\.git|build.*|\.cache|__pycache__|seeds)$")

    def __init__(self, root):
        self.root = root
        self.paths = []
        self._sources = {}
        for directory, names, files in os.walk(root):
            names[:] = sorted(n for n in names if not self.SKIPPED.match(n))
            for name in sorted(n for n in files if not self.SKIPPED.match(n)):
                path = os.path.relpath(os.path.join(directory, name), root)
                if os.path.isfile(os.path.join(root, path)):
                    self.paths.append(path)

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def match(self, pattern):
        return [p for p in self.paths if re.search(pattern, p)]

    def sources(self, pattern=r"^(daemon|tests)/.*\.[ch]$"):
        for path in self.match(pattern):
            if path not in self._sources:
                self._sources[path] = Source(path, self.read(path).decode("utf-8", "replace"))
            yield self._sources[path]

    def list_file(self, path):
        """Lines of "KEY  why", as exceptions are written; a line without a reason is no exception."""
        out = {}
        if self.exists(path):
            for line in self.read(path).decode().split("\n"):
                key, _, why = line.partition("  ")
                if key and not key.startswith("#") and why.strip():
                    out[key] = why.strip()
        return out


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else parts[1].split(".")[0].split("_")[0]


def dependencies(tree):
    """dependencies go down only (DESIGN.md, section 4)"""
    for s in tree.sources(r"^daemon/"):
        room = room_of(s.path)
        for line, target in s.includes():
            to = target.split("/")[0] if "/" in target else target.split(".")[0].split("_")[0]
            if not tree.exists("daemon/" + target):
                yield f"{s.path}:{line}: \"{target}\" is not there; includes begin at daemon/"
            elif room == "main":
                continue
            elif room == "engine":
                if to != "engine" and to not in ENGINE_ROOMS and target not in ENGINE_PORTS:
                    yield f"{s.path}:{line}: the engine includes {target}; only ports, diagnose, decide, model and base"
            elif room not in ROOMS:
                yield f"{s.path}:{line}: room {room} is unknown to the rules"
            elif to not in ROOMS[room]:
                yield f"{s.path}:{line}: {room} includes {target}; it may include {', '.join(sorted(ROOMS[room]))}"


def purity(tree):
    """model, diagnose and decide are pure"""
    for s in tree.sources(r"^daemon/(%s)/" % "|".join(PURE)):
        for line, name in s.calls(IMPURE_CALLS):
            yield f"{s.path}:{line}: calls {name}(); no clock, path, log, environment or system call here"
        for line, target in list(s.includes()) + list(s.system_includes()):
            if target in IMPURE_HEADERS:
                yield f"{s.path}:{line}: includes {target}; what it declares has no place here"


def file_lengths(tree):
    """files have at most 600 lines"""
    for path in tree.match(r"\.(c|h|py|sh)$|/run$|^init/"):
        n = tree.read(path).count(b"\n")
        if n > MAX_FILE:
            yield f"{path}:{n}: {n} lines; split it by what its parts do"


def function_lengths(tree):
    """functions have at most 60 lines"""
    for s in tree.sources():
        for line, name, _, n in s.functions():
            if n > MAX_FUNCTION:
                yield f"{s.path}:{line}: {name}() has {n} lines"


def parameter_counts(tree):
    """functions take at most 6 parameters"""
    for s in tree.sources():
        for line, name, parameters, _ in s.functions():
            if parameters > MAX_PARAMETERS:
                yield f"{s.path}:{line}: {name}() takes {parameters} parameters; make a struct of them"


def switches(tree):
    """a switch has no default, so that the compiler finds the missing case"""
    for s in tree.sources():
        for m in re.finditer(r"\bdefault\s*:", s.code):
            yield f"{s.path}:{s.line_of(m.start())}: default:; name every case"


def forbidden_calls(tree):
    """the daemon calls no shell and nothing unsafe"""
    for s in tree.sources(r"^daemon/.*\.[ch]$"):
        for line, name in s.calls(FORBIDDEN_CALLS):
            yield f"{s.path}:{line}: calls {name}()"


def shelled_programs(tree):
    """the daemon runs neither systemctl, journalctl, mv nor a shell"""
    advice = tree.list_file("tests/lint/advice.txt")
    for s in tree.sources(r"^daemon/.*\.[ch]$"):
        for line, text in s.strings:
            if SHELLED.search(text) and not any(a in text for a in advice):
                yield f"{s.path}:{line}: \"{text}\"; if it is advice for people, add it to tests/lint/advice.txt"


def threads(tree):
    """threads are made by base/worker alone"""
    for s in tree.sources(r"^daemon/"):
        if not s.path.startswith("daemon/base/worker"):
            for line, name in s.calls({"pthread_create", "thrd_create", "clone", "clone3"}):
                yield f"{s.path}:{line}: calls {name}()"


def descriptors(tree):
    """every descriptor is closed at an exec"""
    opening = {
        "open": "O_CLOEXEC", "openat": "O_CLOEXEC", "epoll_create1": "EPOLL_CLOEXEC", "eventfd": "EFD_CLOEXEC",
        "socket": "SOCK_CLOEXEC", "accept4": "SOCK_CLOEXEC", "pipe2": "O_CLOEXEC", "inotify_init1": "IN_CLOEXEC",
        "timerfd_create": "TFD_CLOEXEC", "memfd_create": "MFD_CLOEXEC", "fanotify_init": "FAN_CLOEXEC",
        "socketpair": "SOCK_CLOEXEC",
    }
    for s in tree.sources(r"^daemon/.*\.c$"):
        for line, name in s.calls({"pipe", "dup", "accept", "epoll_create", "inotify_init", "creat"}):
            yield f"{s.path}:{line}: calls {name}(); take the one with a CLOEXEC flag"
        for m in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(opening), s.code):
            call = s.code[m.start():s.code.find(";", m.start())]
            # A variable with the flags in it is up to the reader.
            if opening[m.group(1)] not in call and not re.search(r"\bflags\b", call):
                yield f"{s.path}:{s.line_of(m.start())}: {m.group(1)}() without {opening[m.group(1)]}"
        for line, text in s.strings:
            if re.fullmatch(r"[rwa]\+?b?", text) and re.search(r"\bfd?open\s*\(", s.lines[line - 1]):
                yield f"{s.path}:{line}: fopen() without \"e\""


def file_heads(tree):
    """a .c file begins with what it is, a header with #pragma once"""
    for s in tree.sources(r"^(daemon|tests)/.*\.[ch]$"):
        if s.path.endswith(".h") and not s.text.startswith("#pragma once\n"):
            yield f"{s.path}:1: does not begin with #pragma once"
        if s.path.endswith(".c") and not s.text.startswith("/*"):
            yield f"{s.path}:1: does not begin with a comment that says what it is"


def text_form(tree):
    """no trailing blanks, tabs, // comments or overlong lines; one newline at the end"""
    for path in tree.match(r"\.(c|h|py|sh|conf|in|md|service|init|openrc|tmpfiles|sysusers|txt|json|[1-8])$|/run$"):
        data = tree.read(path)
        if path.startswith("tests/fixtures/") and not path.endswith((".c", ".h", ".py")):
            continue
        lines = data.split(b"\n")
        if data and not data.endswith(b"\n"):
            yield f"{path}:{len(lines)}: no newline at the end"
        if data.endswith(b"\n\n"):
            yield f"{path}:{len(lines)}: empty lines at the end"
        for n, line in enumerate(lines, 1):
            if line != line.rstrip():
                yield f"{path}:{n}: blanks at the end of the line"
            if b"\t" in line and path.endswith((".c", ".h", ".py")):
                yield f"{path}:{n}: a tab"
            if len(line.decode("utf-8", "replace")) > MAX_COLUMNS and path.endswith((".c", ".h")):
                yield f"{path}:{n}: longer than {MAX_COLUMNS} columns"
    for s in tree.sources():
        for n in s.slash_comments:
            yield f"{s.path}:{n}: a // comment"


def machine_paths(tree):
    """no paths of a developer's machine"""
    for path in tree.paths:
        if path.startswith("tests/lint/"):
            continue
        for n, line in enumerate(tree.read(path).split(b"\n"), 1):
            if re.search(rb"/tmp/wt\b|(?<![\w/@])/work/(main|shared)\b|/home/[a-z]+/src", line):
                yield f"{path}:{n}: {line.strip().decode('utf-8', 'replace')[:80]}"


def test_files(tree, path):
    """The test files of a source: by its name, or by the "Test: PATH" of its head, if that file speaks of it."""
    room, name = room_of(path), os.path.basename(path)[:-2]
    for tier in ("unit", "scenario", "integration", "crash"):
        for stem in (name, f"{room}_{name}"):
            if tree.exists(f"tests/{tier}/test_{stem}.c"):
                yield f"tests/{tier}/test_{stem}.c"
    head = tree.read(path).decode("utf-8", "replace").split("*/")[0]
    for named in re.findall(r"tests/\w+/test_\w+\.c", head):
        if tree.exists(named) and name.encode() in tree.read(named):
            yield named


def unit_tests(tree):
    """every .c of the daemon has a test of its name, or names one, or has a reason in tests/lint/untested.txt"""
    excused = tree.list_file("tests/lint/untested.txt")
    for path in tree.match(r"^daemon/.*\.c$"):
        found = any(test_files(tree, path))
        if not found and path not in excused:
            yield f"{path}:1: no tests/unit/test_{os.path.basename(path)}, and no \"Test:\" in its head that leads to one"
        if found and path in excused:
            yield f"{path}:1: has a test; take it out of tests/lint/untested.txt"
    for path in excused:
        if not tree.exists(path):
            yield f"tests/lint/untested.txt:1: {path} is not there"


ALL = (dependencies, purity, file_lengths, function_lengths, parameter_counts, switches, forbidden_calls, shelled_programs,
       threads, descriptors, file_heads, text_form, machine_paths, unit_tests)
