"""The runner of the system tier: see ./run.

Every test is a function of a module named cases_*.py that begins with test_. It runs in a process of its own, which
has a minute or so more than the test should need; a hung test is killed, its machine with it.
"""

import argparse
import concurrent.futures
import glob
import importlib
import os
import subprocess
import sys
import time
import traceback

import image
import machine

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 900  # seconds a test may take, at most


def tests():
    found = []
    for path in sorted(glob.glob(HERE + "/cases_*.py")):
        module = os.path.basename(path)[:-3]
        for name in vars(importlib.import_module(module)):
            if name.startswith("test_"):
                found.append((module, name))
    return found


def one(module, name, build, keep):
    """In the process of the test. Exit status 0, 1, or 77 (skipped)."""
    import world
    function = vars(importlib.import_module(module))[name]
    context = world.Context(name[len("test_"):], build)
    status = 1
    try:
        function(context)
        status = 0
    except machine.Skip as e:
        print("SKIP", e)
        status = 77
    except machine.Failure as e:
        traceback.print_exc()
        print("FAILURE:", e)
    except Exception:
        traceback.print_exc()
    finally:
        if status == 1:
            context.describe()
        context.close(keep and status == 1)
    return status


def run_one(options, module, name):
    log = "%s/%s.log" % (options.logs, name[len("test_"):])
    command = [sys.executable, "-B", HERE + "/main.py", "--build", options.build, "--one", module, name]
    if options.keep:
        command.append("--keep")
    begin = time.monotonic()
    with open(log, "wb") as f:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                   preexec_fn=machine.die_with_parent)
        try:
            status = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            # Python's exit handlers are not enough: the machine goes first, by its cgroup.
            machine.kill_of(process.pid)
            process.kill()
            process.wait()
            status = 1
            f.write(b"FAILURE: it took longer than %d s\n" % TIMEOUT)
    seconds = time.monotonic() - begin
    word = {0: "PASS", 77: "SKIP"}.get(status, "FAIL")
    with open(log, errors="replace") as f:
        said = [line for line in f.read().splitlines() if line.startswith(("FAILURE:", "SKIP"))]
    print("%s %s (%.0f s) %s" % (word, name[len("test_"):], seconds, said[-1] if said else ""), flush=True)
    return word


def main():
    parser = argparse.ArgumentParser(prog="tests/system/run")
    parser.add_argument("--build", default="build-debug")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--one", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.logs = options.build + "/test-logs/system"

    if options.one:
        return one(options.words[0], options.words[1], options.build, options.keep)
    if os.environ.get("UNJAM_CHROOT"):
        # systemd-nspawn can't move its root to the top of the mount tree: /proc/PID/fd would name files by paths from above
        # the chroot, and what a process holds open could not be told from inside of the machine.
        print("SKIP system: in a plain chroot; run it on the host, or in a container")
        return 77
    if not machine.cgroup_base():
        print("SKIP system: no cgroup2 hierarchy that could be written to")
        return 77
    with concurrent.futures.ThreadPoolExecutor(len(image.EXTRA)) as pool:
        list(pool.map(image.ensure, image.EXTRA))
    if options.prepare:
        return 0
    chosen = [t for t in tests() if not options.words or any(w in t[1] for w in options.words)]
    if options.list:
        print("\n".join(name[len("test_"):] for _, name in chosen))
        return 0
    os.makedirs(options.logs, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        words = list(pool.map(lambda t: run_one(options, *t), chosen))
    print("%d passed, %d failed, %d skipped" % tuple(words.count(w) for w in ("PASS", "FAIL", "SKIP")))
    return 1 if "FAIL" in words else 0


if __name__ == "__main__":
    sys.exit(main())
