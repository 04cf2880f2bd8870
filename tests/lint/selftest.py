"""Rules that never find anything prove nothing: each is shown what it must find, and what it must let pass."""

import os
import tempfile

import rules

BODY = "/* x */\nint f(void)\n{\n%s        return 0;\n}\n"

# rule: {file: text} that must be found, {file: text} that must pass.
CASES = {
    "dependencies": (
        [{"daemon/act/a.c": '/* */\n#include "observe/b.h"\n', "daemon/observe/b.h": ""},
         {"daemon/model/a.c": '/* */\n#include "act/b.h"\n', "daemon/act/b.h": ""},
         {"daemon/engine_x.c": '/* */\n#include "act/spool.h"\n', "daemon/act/spool.h": ""},
         {"daemon/decide/a.c": '/* */\n#include "diagnose/b.h"\n', "daemon/diagnose/b.h": ""},
         {"daemon/act/a.c": '/* */\n#include "b.h"\n', "daemon/act/b.h": ""},
         {"daemon/new/a.c": '/* */\n#include "base/b.h"\n', "daemon/base/b.h": ""}],
        [{"daemon/act/a.c": '/* #include "observe/b.h" */\n#include "base/b.h"\n', "daemon/base/b.h": ""},
         {"daemon/engine_x.c": '/* */\n#include "act/actuator.h"\n#include "engine.h"\n', "daemon/act/actuator.h": "",
          "daemon/engine.h": ""},
         {"daemon/main.c": '/* */\n#include "act/spool.h"\n', "daemon/act/spool.h": ""}]),
    "purity": (
        [{"daemon/decide/a.c": BODY % "        now_read();\n"}, {"daemon/model/a.c": BODY % '        printf("x");\n'},
         {"daemon/diagnose/a.c": BODY % "        x = open (p, 0);\n"},
         {"daemon/model/a.c": "/* */\n#include <fcntl.h>\n"}],
        [{"daemon/decide/a.c": BODY % '        ops->open(x);\n        s.read(x);\n        /* open(x) */ "open(x)";\n'},
         {"daemon/act/a.c": BODY % "        open(x);\n"}, {"daemon/model/a.c": BODY % "        snprintf(x);\n"}]),
    "file_lengths": ([{"daemon/a.c": "x\n" * 601}], [{"daemon/a.c": "x\n" * 600}]),
    "function_lengths": ([{"daemon/a.c": BODY % ("        x();\n" * 60)}], [{"daemon/a.c": BODY % ("        x();\n" * 59)}]),
    "parameter_counts": (
        [{"daemon/a.c": "int f(int a, int b, int c, int d,\n      int e, int g, int h)\n{\n}\n"}],
        [{"daemon/a.c": "int f(int a, int b, int c, int d, int e, void (*g)(int, int, int))\n{\n}\n"},
         {"daemon/a.c": "int f(int a, int b, int c, int d, int e, int g, sd_bus_error *h)\n{\n}\n"},
         {"daemon/a.c": "int f(void)\n{\n}\n"}]),
    "switches": ([{"daemon/a.c": BODY % "        default:\n"}], [{"daemon/a.c": "/* default: */ int defaults; "}]),
    "forbidden_calls": ([{"daemon/a.c": BODY % "        system(x);\n"}, {"daemon/a.c": BODY % "        strcpy(a, b);\n"}],
                        [{"daemon/a.c": BODY % "        x->system(x); file_system(x);\n"}]),
    "shelled_programs": (
        [{"daemon/a.c": '/* */ x("systemctl");'}, {"daemon/a.c": '/* */ x("/bin/sh");'}, {"daemon/a.c": '/* */ x("mv");'}],
        [{"daemon/a.c": '/* systemctl */ x("mv it away"); "fish"'},
         {"daemon/a.c": '/* */ x("try systemctl status");', "tests/lint/advice.txt": "try systemctl  for people\n"}]),
    "threads": ([{"daemon/act/a.c": BODY % "        pthread_create(x);\n"}],
                [{"daemon/base/worker.c": BODY % "        pthread_create(x);\n"}]),
    "descriptors": (
        [{"daemon/a.c": BODY % "        open(p, O_RDONLY);\n"}, {"daemon/a.c": BODY % "        pipe(p);\n"},
         {"daemon/a.c": BODY % '        fopen(p, "r");\n'}],
        [{"daemon/a.c": BODY % "        open(p,\n             O_RDONLY | O_CLOEXEC);\n"},
         {"daemon/a.c": BODY % '        fopen(p, "re");\n'}]),
    "file_heads": ([{"daemon/a.c": "int x;\n"}, {"daemon/a.h": "/* x */\n#pragma once\n"}],
                   [{"daemon/a.c": "/* x */\n", "daemon/a.h": "#pragma once\n"}]),
    "text_form": (
        [{"daemon/a.c": "x \n"}, {"daemon/a.c": "\tx\n"}, {"daemon/a.c": "x"}, {"daemon/a.c": "x\n\n"}, {"a.md": "x \n"},
         {"daemon/a.c": "int x; // y\n"}, {"daemon/a.c": "x" * 111 + "\n"}],
        [{"daemon/a.c": '/* // */ "//"\n' + "x" * 110 + "\n", "Makefile": "\tx\n"}]),
    "machine_paths": ([{"a.md": "see /tmp/wt/x\n"}, {"a.c": '"/work/main/x"\n'}], [{"a.md": "/tmp/x /network/main\n"}]),
    "unit_tests": (
        [{"daemon/act/a.c": ""}, {"daemon/act/a.c": "", "tests/unit/test_a.c": "",
                                 "tests/lint/untested.txt": "daemon/act/a.c  because\n"},
         {"tests/lint/untested.txt": "daemon/act/a.c  because\n"},
         {"daemon/act/a.c": "", "tests/lint/untested.txt": "daemon/act/a.c\n"},
         {"daemon/act/a.c": "/* Test: tests/unit/test_b.c. */", "tests/unit/test_b.c": ""}],
        [{"daemon/act/a.c": "", "tests/unit/test_a.c": ""}, {"daemon/act/a.c": "", "tests/unit/test_act_a.c": ""},
         {"daemon/act/aa.c": "/* Test: tests/unit/test_b.c. */", "tests/unit/test_b.c": "aa"},
         {"daemon/act/a.c": "", "tests/lint/untested.txt": "# x\ndaemon/act/a.c  because\n"}]),
}


def found(rule, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        return list(rule(rules.Tree(root)))


def selftest(_tree):
    """every rule finds what it must find, and nothing else"""
    for rule in rules.ALL:
        bad, good = CASES.get(rule.__name__, ([], []))
        if not bad or not good:
            yield f"tests/lint/selftest.py:1: no case for {rule.__name__}"
        for files in bad:
            if not found(rule, files):
                yield f"tests/lint/selftest.py:1: {rule.__name__} does not find {files}"
        for files in good:
            for fault in found(rule, files):
                yield f"tests/lint/selftest.py:1: {rule.__name__} finds {fault} in {files}"
