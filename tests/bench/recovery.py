"""recovery.py BUILD MOST: how long a recovery takes on a booted system, and whose time it is.

imcd with 100,000 messages and Debian's Postfix with 10,000 (or MOST, if that is less); one message hangs the service, at
the start, in the middle or at the end of the queue; with evidence (the stuck process holds the file) and without. Measured
is the time from the incident's first record until 99% of the good mail is delivered. The service's own share of it is what
its stop and start actions took, and the delivery of what was left, at the rate of a run without poison and without unjamd
on the same machine. The rest is what unjamd added: with the ladder as it is shipped, which tries a plain restart first and
so waits for the stall once more, and with restarts = 0, which holds the suspect at once. Prints one JSON object a row.
"""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../system")

import cases_postfix  # noqa: E402
import image  # noqa: E402
import world  # noqa: E402
from machine import Failure, Skip, cgroup_base, wait  # noqa: E402

GOAL = 2.0  # seconds that unjamd adds where there is evidence
LONGEST = 1500  # seconds for one recovery
PLACES = (("start", 0.01), ("middle", 0.5), ("end", 0.99))
CASES = ((True, 0), (True, 1), (False, 1))  # evidence, recovery.restarts
CONFIG_IMC = {"stall": "4s", "max_time": "30min"}


def row(name, value, **more):
    print(json.dumps(dict({"bench": "recovery", "row": name, "value": round(value, 3), "unit": "s"}, **more)), flush=True)


def mtimes(directory):
    with os.scandir(directory) as entries:
        return sorted(e.stat().st_mtime for e in entries)


def set_restarts(machine, restarts):
    config = machine.read("/etc/unjamd/unjamd.conf")
    machine.write("/etc/unjamd/unjamd.conf", config.replace("recovery = {", "recovery = { restarts = %d;" % restarts), 0o600)


class ImcRun:
    """imcd with @count messages, and poison at @place of them (None: no poison, and no unjamd)."""

    name, image = "imcd", "base"

    def __init__(self, context, count, place=None, evidence=True, restarts=1):
        self.imc = world.Imc(context, "--order name" + ("" if evidence else " --hang-without-file"),
                             unjamd=place is not None)
        self.m, self.count = self.imc.m, count
        if place is not None:
            self.imc.configure(**CONFIG_IMC)
            set_restarts(self.m, restarts)
        self.imc.mail("In", count, {max(1, int(count * place)): "hang"} if place is not None else {})
        self.out = self.m.path(world.MAILDIR + "/new")
        self.imc.boot(unjamd=place is not None)

    def start(self):
        self.imc.start()

    def stop(self):
        self.m.run("systemctl", "stop", "imc.service")


class PostfixRun:
    name, image = "Postfix", "postfix"

    def __init__(self, context, count, place=None, evidence=True, restarts=1):
        self.imc = cases_postfix.Postfix(context)
        self.m, self.count = self.imc.m, count
        poison = {max(1, int(count * place)): "hang" if evidence else "crash"} if place is not None else {}
        set_restarts(self.m, restarts)
        self.imc.begin(count, poison)
        self.out = self.m.path(cases_postfix.HOME + "/new")
        if place is not None:
            self.m.run("systemctl", "enable", "--now", "unjamd.service")

    def start(self):
        os.unlink(self.m.path(cases_postfix.HOME + "/gate"))

    def stop(self):
        self.m.run("systemctl", "stop", self.imc.unit)


def delivered_99(run):
    """The moment at which 99% of the good mail was there."""
    wanted = int(run.count * 0.99)
    wait(lambda: os.path.isdir(run.out) and len(os.listdir(run.out)) >= wanted, LONGEST, "99% of the mail")
    return mtimes(run.out)[wanted - 1]


def own_rate(kind, build, count):
    """Messages a second of the service alone."""
    context = world.Context("recovery_own_" + kind.name.lower(), build)
    try:
        run = kind(context, count)
        begin = time.time()
        run.start()
        return int(count * 0.99) / (delivered_99(run) - begin)
    finally:
        context.close(False)


def action_seconds(records, actions):
    """What these actions took, from intent to outcome."""
    begun, total = {}, 0.0
    for r in records:
        if r["event"] in ("intent", "outcome") and r["action"] in actions:
            if r["event"] == "intent":
                begun[r["data"]["action_seq"]] = world.time_of(r)
            elif r["data"]["action_seq"] in begun:
                total += world.time_of(r) - begun.pop(r["data"]["action_seq"])
    return total


def recovery(kind, build, count, place, case, rate):
    context = world.Context("recovery_%s" % kind.name.lower(), build)
    (where, share), (evidence, restarts) = place, case
    name = "%s, n = %d, culprit at the %s, %s, restarts = %d" % (
        kind.name, count, where, "evidence" if evidence else "none", restarts)
    try:
        run = kind(context, count, share, evidence, restarts)
        run.start()
        end = delivered_99(run)
        records = [r for r in run.imc.audit() if r.get("incident") and world.time_of(r) <= end + 1]
        opened = world.time_of([r for r in records if r["event"] == "incident.opened"][0])
        end = max(end, opened)
        left = len([t for t in mtimes(run.out) if opened < t <= end])
        own = action_seconds([r for r in records if world.time_of(r) <= end], ("stop", "kill", "start")) + left / rate
        trials = len([r for r in records if r["event"] == "trial.started" and world.time_of(r) <= end])
        row(name, end - opened, peer="the service's own", peer_value=round(own, 3),
            ratio=round((end - opened) / own, 3) if own > 0 else None)
        added = end - opened - own
        row(name + ", added", added, **({"goal": "<= %g" % GOAL, "pass": added <= GOAL} if evidence else {}))
        row(name + ", trials", trials, unit="trials")
        for r in records if os.environ.get("UNJAM_BENCH_STORY") else []:
            print("%9.3f %s" % (world.time_of(r) - opened, json.dumps(
                {k: r.get(k) for k in ("event", "to", "action", "result", "reason") if r.get(k)})), file=sys.stderr)
    except Failure as e:
        print("recovery: %s: %s" % (name, e), file=sys.stderr)
        raise
    finally:
        context.close(False)


def main():
    build, most = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    if not cgroup_base():
        raise Skip("no cgroup2 hierarchy that could be written to")
    only = os.environ.get("UNJAM_BENCH_ONLY", "")
    status = 0
    for kind, count in ((ImcRun, 100000), (PostfixRun, 10000)):
        count = min(count, most)
        if only and only.lower() not in kind.name.lower():
            continue
        image.ensure(kind.image)
        rate = own_rate(kind, build, count)
        row("%s, n = %d, alone" % (kind.name, count), rate, unit="messages/s")
        for case in CASES:
            for place in PLACES:
                try:
                    recovery(kind, build, count, place, case, rate)
                except Failure:
                    status = 1
    return status


try:
    sys.exit(main())
except Skip as e:
    print("recovery: skipped: %s" % e, file=sys.stderr)
    sys.exit(1)
