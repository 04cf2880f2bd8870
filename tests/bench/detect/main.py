"""detect: killed processes noticed, and the cost of watching, beside monit. One JSON row a line, on stdout.

Noticed is the time from kill(2) until the incident that was opened for it is heard on the control socket (`unjamctl
watch`); for monit, until the line is in its log. All figures are of one run on one host: what counts are the ratios.
"""

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import boxed
import cost
from daemons import Monit, Unjamd

TRIALS = int(os.environ.get("UNJAM_BENCH_TRIALS", "50"))
IDLE = int(os.environ.get("UNJAM_BENCH_IDLE", "60"))
LOG_MIB = 500


def say(text):
    print(text, file=sys.stderr, flush=True)


def row(name, value, unit, goal, peer=None, least=None):
    """@least: the ratio that is asked for, peer's value to ours."""
    ratio = peer / value if peer and value else None
    good = None if goal is None else value <= goal and (least is None or ratio is None or ratio >= least)
    print(json.dumps({"bench": "detect", "row": name, "value": round(value, 4), "unit": unit, "goal": goal, "pass": good,
                      "peer": "monit" if peer is not None else None,
                      "peer_value": None if peer is None else round(peer, 4),
                      "ratio": None if ratio is None else round(ratio, 1)}), flush=True)


def milliseconds(trials):
    """Whatever was never noticed would not be a figure: it ends the benchmark."""
    if None in trials:
        raise RuntimeError("%d of %d kills were not noticed" % (trials.count(None), len(trials)))
    return [t * 1000 for t in trials]


def unjamd_trials(daemon):
    trials = []
    for i in range(TRIALS):
        name = daemon.names[i % len(daemon.names)]
        trials.append(daemon.kill(name))
        daemon.control.settle(name)
        time.sleep(random.uniform(0.05, 0.15))
    return milliseconds(trials)


def again_trials(daemon, n):
    """For those whose processes are started again by us."""
    trials = []
    for i in range(n):
        name = daemon.names[i % len(daemon.names)]
        time.sleep(random.uniform(0, 1))
        trials.append(daemon.kill(name))
        daemon.again(name)
    return milliseconds(trials)


def closing(daemon, function, *args):
    try:
        return function(daemon, *args)
    finally:
        daemon.close()


def latency(build, n, with_machine):
    say("detect: %d kills, %d service(s)" % (TRIALS, n))
    monit = statistics.median(closing(Monit(n), again_trials, TRIALS))
    trials = closing(Unjamd(build, n), unjamd_trials)
    row("killed, noticed: embedded, %d service%s, median" % (n, "s" * (n > 1)), statistics.median(trials), "ms", 5, monit, 50)
    if not with_machine:
        say("detect: no machine can be booted here, so nothing is said of systemd")
        return
    trials = closing(boxed.Boxed(build, n), again_trials, TRIALS)
    row("killed, noticed: systemd, %d service%s, median" % (n, "s" * (n > 1)), statistics.median(trials), "ms", 10, monit, 50)


# In trouble

def hung_servers(n):
    """They accept by their backlog, and never say a word."""
    servers = []
    for _ in range(n):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        servers.append(s)
    return servers


def log_rule(build, path):
    """The service that follows a log, with 20 rules; "" as long as there is no such source."""
    rules = ", ".join('{ name = "r%d"; source = "file"; path = "%s"; match = "fatal: part %d failed"; symptom = "event"; }'
                      % (i, path, i) for i in range(20))
    text = ',\n{ name = "log"; manager = "embedded"; command = [ "/bin/sleep", "infinity" ]; events = ( %s ); }' % rules
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write("services = ( %s );" % text.lstrip(",\n"))
        f.flush()
        known = subprocess.run([build + "/unjamd", "-c", f.name, "--check-config"], stdout=subprocess.DEVNULL)
    return text if known.returncode == 0 else ""


def log_grow(path):
    block = b"".join(b"Nov 28 01:02:03 mail postfix/smtp[%d]: %08X: to=<u%d@example.org>, relay=none, status=sent (250 2.0.0 Ok)\n"
                     % (i, i * 2654435761 & 0xFFFFFFFF, i) for i in range(8000))
    with open(path, "ab", buffering=0) as f:
        for _ in range(LOG_MIB * 1024 * 1024 // len(block)):
            f.write(block)


def trouble_trials(daemon, path):
    writer = threading.Thread(target=log_grow, args=(path,)) if path else None
    trials = []
    time.sleep(2)
    if writer:
        writer.start()
    for i in range(2 * TRIALS):
        trials.append(daemon.kill(daemon.names[i % len(daemon.names)]))
        time.sleep(random.uniform(0.02, 0.1))
    if writer:
        writer.join()
    return milliseconds(trials)


def trouble(build):
    servers = hung_servers(5)
    ports = [s.getsockname()[1] for s in servers]
    path = tempfile.mktemp(prefix="unjamd-bench-log.")
    open(path, "w").close()
    log = log_rule(build, path)
    say("detect: %d kills in trouble%s" % (2 * TRIALS, "" if log else " (log files are no source of events yet)"))
    more = ('check process bad with pidfile "/nonexistent/pid"\n  start program = "/bin/true"\n  if not exist then start\n'
            + "".join("check host h%d with address 127.0.0.1\n  if failed port %d protocol smtp then alert\n" % (i, port)
                      for i, port in enumerate(ports)))
    monit = statistics.median(closing(Monit(1, more), again_trials, 3))
    more = ',\n{ name = "bad"; manager = "embedded"; command = [ "/bin/false" ]; }' + "".join(
        ',\n{ name = "h%d"; manager = "embedded"; command = [ "/bin/sleep", "infinity" ]; probes = ( { type = "smtp";'
        ' address = "127.0.0.1:%d"; interval = "1s"; timeout = "1s"; failures = 1000; } ); }' % (i, port)
        for i, port in enumerate(ports))
    try:
        trials = sorted(closing(Unjamd(build, 2 * TRIALS, more + log), trouble_trials, path if log else None))
        what = "a start fails, 5 SMTP servers hang" + (", %d MiB of log are read" % LOG_MIB if log else "")
        row("killed, noticed: %s, 99th percentile" % what, trials[(len(trials) * 99 + 99) // 100 - 1], "ms", 50, monit)
    finally:
        os.unlink(path)
        for s in servers:
            s.close()


# At rest

def rest(build):
    daemon, monit = Unjamd(build, 100, crashes=False), Monit(100)
    pids = [daemon.process.pid, monit.process.pid]
    time.sleep(60)  # what is done once after a start, for tidiness: orphans, memory
    try:
        for n in 150, 800:
            say("detect: %d s of nothing, %d processes" % (IDLE, n))
            crowd = cost.crowd(n)
            time.sleep(1)
            try:
                figures = cost.idle(pids, IDLE)
            finally:
                for process in crowd:
                    process.kill()
                    process.wait()
            (cpu, wakes), (peer_cpu, peer_wakes) = (figures[pid] for pid in pids)
            row("at rest: 100 services, %d processes" % n, cpu, "% of a core", 0.05, peer_cpu, 40)
            row("at rest: wake-ups, %d processes" % n, wakes, "a minute", 0, peer_wakes)
        pss, peer = (cost.pss_kib(pid) for pid in pids)
        row("memory: 100 services (PSS)", pss, "KiB", 3072, peer, 1)
    finally:
        monit.close()
        daemon.close()


def boxed_rest(daemon):
    pid = daemon.daemon()
    time.sleep(5)
    cpu, wakes = cost.idle([pid], IDLE)[pid]
    row("at rest: systemd, 100 units", cpu, "% of a core", 0.05)
    row("at rest: wake-ups, systemd, 100 units (3 to 4 are the watchdog's)", wakes, "a minute", 5)
    row("memory: systemd, 100 units (PSS)", cost.pss_kib(pid), "KiB", 3072)


def main():
    build = sys.argv[-1]
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # of all that is measured: who else is busy here is another matter
    with_machine = "--no-machine" not in sys.argv and boxed.available()
    for n in 1, 100:
        latency(build, n, with_machine)
    trouble(build)
    rest(build)
    if with_machine:
        say("detect: %d s of nothing, 100 units" % IDLE)
        closing(boxed.Boxed(build, 100, crashes=False), boxed_rest)


main()
