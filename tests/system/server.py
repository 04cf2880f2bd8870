"""A real mail server of Debian's on a machine, watched by its preset, with times that suit a test."""

import collections
import json
import os
import shutil
import time

import world
from machine import check, check_equal, wait

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = "/var/lib/mailtest"

CONFIG = """\
mode = "act";
services = (
  { name = "%(preset)s"; preset = "%(preset)s"; start_timeout = "%(start)s"; stop_timeout = "8s"; kill_timeout = "8s";
    stall = { after = "%(stall)s"; };
    %(keys)s
    recovery = { restarts = %(restarts)d; settle = "2s"; verify = "4s"; max_time = "%(max_time)s"; max_per_hour = 20; };
  }%(more)s );
"""
PROBE = 'probes = ( { type = "%s"; address = "%s"; interval = "2s"; timeout = "2s"; failures = 2; } );'


SINK = "[Service]\nExecStart=/usr/local/bin/sink %d\nUser=mailtest\n"


class Server(world.Imc):
    """What the tests of all servers share. A subclass says what the server is, and how mail gets in."""

    kind = preset = unit = None
    probe = PROBE % ("smtp", "127.0.0.1:25")
    keys, more, stall, start, restarts, max_time = "", "", "6s", "30s", 1, "5min"  # more: further services
    patience = 2  # how much longer than others it takes to start, on a machine as slow as you like
    queue = ()  # directories of its messages

    def __init__(self, context):
        self.context, self.service = context, self.preset
        self.m = context.machine(self.kind)
        self.sent = collections.Counter()
        self.seen, self.kept = 0, []  # records, and ids in quarantine, of the faults before this one
        for name in os.listdir(HERE + "/files"):
            shutil.copy("%s/files/%s" % (HERE, name), self.m.path("/usr/local/bin/" + name))
        self.m.write("/etc/unjamd/unjamd.conf",
                     CONFIG % {"preset": self.preset, "stall": self.stall, "start": self.start,
                               "restarts": self.restarts, "max_time": self.max_time, "more": self.more, "keys": self.probe + "\n    " + self.keys}, 0o600)

    def prepare(self):
        """Configures the server, on the booted machine."""

    def is_up(self):
        """Waits for a server whose unit is active before it can be talked to."""

    def begin(self, count=0):
        """The server runs, @count messages wait in it, and unjamd has seen it healthy. {id: token}"""
        m = self.m
        m.boot()
        m.run("useradd", "-r", "-d", HOME, "mailtest")
        m.run("install", "-d", "-o", "mailtest", HOME, HOME + "/tmp", HOME + "/new")
        self.prepare()
        m.run("systemctl", "restart", self.unit)
        self.is_up()
        waiting = {}
        if count:
            self.submit(count)
            waiting = self.waiting()
            check_equal(len(waiting), count, "messages that wait")
        m.run("systemctl", "enable", "--now", "unjamd.service")
        wait(lambda: self.state() == "healthy", 120, "unjamd to find it healthy")
        # The checks of causes get their baseline first of all: one that can be asked for has that behind it.
        time.sleep(2)
        self.check_causes()
        return waiting

    def check_causes(self):
        """On a server that is well no check of the preset finds what would keep it from being recovered."""
        def ask():
            r = self.ctl("check", self.preset, check=False)
            return r.returncode == 0 and json.loads(r.stdout).get("causes")  # not while something else is done

        found = wait(ask, 120, "unjamctl check")
        print("CHECKS %s %s" % (self.preset, " ".join("%s:%s" % (c["cause"], "found" if c["found"] else "ok" if c["known"]
                                                                  else "unknown") for c in found)))
        check_equal([c for c in found if c["found"] and c["effect"] == "veto"], [], "vetoes of a server that is well")

    def submit(self, count, poison=()):
        self.m.run("/usr/local/bin/submit", str(count), *["%d=%s" % p for p in dict(poison).items()], timeout=300)

    def sink(self, port):
        """A server on loopback that takes what this one sends."""
        self.sink_port = port
        self.m.write("/etc/systemd/system/sink.service", SINK % port)
        self.m.run("systemctl", "daemon-reload")
        self.sink_start()

    def sink_start(self):
        """Starts it anew. A server that finds it not listening yet may not try again for minutes."""
        self.m.run("systemctl", "restart", "sink.service")
        wait(lambda: ":%d " % self.sink_port in self.m.run("ss", "-ltn").stdout, 60, "the sink to listen")

    def waiting(self):
        """{id: token} of what is in the queue."""
        raise NotImplementedError

    def delivered(self):
        """How often each token was delivered."""
        names = os.listdir(self.m.path(HOME + "/new"))
        return collections.Counter(name.split(".")[0] for name in names)

    def spool(self):
        """{path: (digest, inode, mode, uid, gid, mtime)} of everything in the queue's directories."""
        found = {}
        for directory in self.queue:
            for base, _, names in os.walk(self.m.path(directory)):
                for name in names:
                    entry = world.entry_of(os.path.join(base, name))
                    if entry:
                        found[os.path.join(base, name)[len(self.m.root):]] = entry
        return found

    def main_pid(self):
        return int(self.m.property(self.unit, "MainPID"))

    def audit(self, event=None, **members):
        """The records since again() was called last."""
        records = super().audit()[self.seen:]
        return [r for r in records if (event is None or r["event"] == event)
                and all(r.get(k) == v for k, v in members.items())]

    def again(self):
        """The next fault on the same machine: the server is healthy, and what was found so far is put aside."""
        wait(lambda: self.state() == "healthy", 120, "it to be healthy again")
        self.seen += len(self.audit())
        self.kept = [r["id"] for r in self.quarantined()]
        for name in os.listdir(self.m.path(HOME + "/new")):
            os.unlink(self.m.path(HOME + "/new/" + name))

    # What must be true

    def check_symptom(self, *kinds):
        """The first symptom is one of @kinds."""
        found = [r["data"]["symptom"] for r in self.audit("symptom")]
        check(found and found[0] in kinds, "symptoms: %s, not %s" % (found, kinds))

    def check_vetoed(self, cause, before):
        """A fault of the configuration: escalated, the cause named, no message touched."""
        closed = self.closed(60 * self.patience)
        check_equal(closed["data"]["result"], "escalated", "result")
        causes = [(r["data"]["cause"], r["data"]["effect"]) for r in self.audit("cause")]
        check((cause, "veto") in causes, "causes: %s" % causes)
        check_equal([r["action"] for r in self.audit("intent") if r["action"] in ("place", "set_aside", "quarantine")],
                    [], "actions on mail")
        self.check_same(before, self.spool())
        self.check_verify()
        self.tell(closed)
        return closed

    def check_healed(self, before=None, culprits=()):
        """Recovered, with these ids and nothing else in quarantine; with @before, the spool is as it was."""
        closed = self.closed(150 * self.patience)
        data = closed["data"]
        check_equal(data["result"], "recovered", "result")
        check_equal(sorted(c["id"] for c in data["culprits"] or []), sorted(culprits), "culprits")
        check_equal(sorted(r["id"] for r in self.quarantined()), sorted([*culprits, *self.kept]), "unjamctl quarantine list")
        ledger = self.check_ledger(closed)
        check_equal((ledger["quarantined"], ledger["held"]), (len(culprits), 0), "ledger: quarantined, held")
        if before is not None:
            self.check_same(before, self.spool())
        check_equal(self.state(), "healthy", "state")
        self.check_verify()
        self.tell(closed)
        return closed

    def check_mail(self, closed, tokens, missing=()):
        """All of @tokens but @missing are delivered, and repeats are those that the record names."""
        wanted = set(tokens) - set(missing)
        wait(lambda: wanted <= set(self.delivered()), 120,
             "the mail: %s is missing" % sorted(wanted - set(self.delivered()))[:5])
        found = self.delivered()
        check_equal(set(found) - wanted, set(), "delivered beyond that")
        repeated = {t for t, n in found.items() if n > 1}
        named = closed["data"]["maybe_repeated"]
        check(len(repeated) <= len(named), "repeated: %s; named: %s" % (repeated, named))

    def release(self, token):
        """What is in quarantine goes back, and the server delivers it."""
        self.m.run("unjamctl", "quarantine", "release", "--all", timeout=120)
        wait(lambda: token in self.delivered(), 120, "what was released to be delivered")
        check_equal(self.quarantined(), [], "quarantine")

    def tell(self, closed):
        """For the README's table."""
        figures = {k: closed["data"][k] for k in ("result", "trials", "crashes", "outage_ms", "duration_ms")}
        print("FIGURES %s %s %s" % (self.preset, self.audit("symptom")[0]["data"]["symptom"], json.dumps(figures)))
