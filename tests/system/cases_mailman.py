"""Debian's Mailman 3, whose runners are not started again when they die."""

import os
import re

from machine import check, check_equal, wait
from server import PROBE, Server

QUEUE = "/var/lib/mailman3/queue"
MESSAGE = "From: x@y.invalid\nTo: a@test.invalid\nSubject: %d\nMessage-ID: <%d@y.invalid>\n\ntext\n"


class Mailman(Server):
    kind, preset, unit = "mailman", "mailman3", "mailman3.service"
    queue = tuple("%s/%s" % (QUEUE, name) for name in ("in", "pipeline", "out", "virgin", "command"))
    probe = PROBE % ("lmtp", "127.0.0.1:8024")
    stall = "20s"

    def prepare(self):
        self.m.run("systemctl", "disable", "--now", "postfix", check=False)
        wait(self.listens, 180, "Mailman to listen")
        self.mailman("create", "a@test.invalid")

    def listens(self):
        return self.m.run("ss", "-Hltn", "sport = :8024").stdout

    def begin(self, count=0):
        super().begin()
        wait(self.listens, 180, "Mailman to listen")

    def mailman(self, *words):
        self.m.run("runuser", "-u", "list", "--", "mailman", *words)

    def submit(self, count, poison=()):
        """In place of what inject makes, which takes seconds a message: copies of one it made, under other names."""
        self.m.write("/tmp.message", MESSAGE % (0, 0))
        self.mailman("inject", "-f", "/tmp.message", "a.test.invalid")

    def runner(self, name):
        return self.m.run("pgrep", "-f", "runner=%s:" % name, check=False).stdout.split()

    def left(self):
        return [n for n in os.listdir(self.m.path(QUEUE + "/in")) if n.endswith(".pck")]


def test_mailman_name_kills_runner(context):
    """A file with a name that is none: the runner of the queue dies of it, and the unit stays active."""
    server = Mailman(context)
    server.begin()
    server.m.write(QUEUE + "/in/foreign.pck", "x")
    server.m.run("chown", "list:list", QUEUE + "/in/foreign.pck")
    wait(lambda: not server.runner("in"), 20, "the runner to die")
    server.submit(1)
    server.check_healed(culprits=["foreign"])
    server.check_symptom("stalled")
    wait(lambda: not server.left(), 30, "the mail to be worked on")
    check(server.runner("in"), "the runner lives")


def test_mailman_runner_stopped(context):
    """kill -STOP of the runner that speaks LMTP."""
    server = Mailman(context)
    server.begin()
    server.m.run("kill", "-STOP", *server.runner("lmtp"))
    server.check_healed()
    server.check_symptom("unresponsive")
    check(re.search("LISTEN", server.listens()), "it listens again")


def test_mailman_unknown_fault(context):
    """A fault of the configuration that no check knows: it ends with all mail where it was."""
    server = Mailman(context)
    server.begin()
    server.m.run("systemctl", "stop", server.unit)
    server.m.write(QUEUE + "/in/1795352785.66+da39a3ee5e6b4b0d3255bfef95601890afd80709.pck", "x")
    server.m.run("chown", "list:list", QUEUE + "/in/1795352785.66+da39a3ee5e6b4b0d3255bfef95601890afd80709.pck")
    before = server.spool()
    server.m.write("/etc/mailman3/mailman.cfg", server.m.read("/etc/mailman3/mailman.cfg") + "\n[mailman]\nno_such_key: 1\n")
    server.m.run("systemctl", "start", server.unit, check=False)
    closed = server.closed(150)
    check_equal(closed["data"]["result"], "escalated", "result")
    check_equal(closed["data"]["culprits"], [], "culprits")
    server.check_same(before, server.spool())
    server.tell(closed)
