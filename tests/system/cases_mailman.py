"""Debian's Mailman 3 with one list of one member: mail comes in over LMTP, and goes out to a server on loopback."""

import os

from machine import check_equal, wait
from server import Server

VAR = "/var/lib/mailman3"
IN = VAR + "/queue/in"
RUNNERS = ("in", "pipeline", "out", "virgin", "lmtp")
# A runner says that it works just before it looks into its queue; what kills it there, kills it at once.
RUNNER_WORKS = """\
#!/bin/sh
pid=$(pgrep -u list -f -- "--runner=$1:") && grep -q "($pid) $1 runner started" /var/log/mailman3/mailman.log &&
        sleep 2 && kill -0 "$pid"
"""
PROBE = """\
probes = ( { type = "lmtp"; address = "127.0.0.1:8024"; interval = "2s"; timeout = "4s"; failures = 3; },
           { type = "exec"; command = [ "/usr/local/bin/runner-works", "in" ]; interval = "2s"; timeout = "10s"; failures = 3; } );
"""


class Mailman(Server):
    kind, preset, unit = "mailman", "mailman3", "mailman3.service"
    queue = tuple("%s/queue/%s" % (VAR, name) for name in ("in", "pipeline", "out", "virgin"))
    # Six processes that each take a second or two of a processor to come up.
    start, stall, max_time, patience, probe = "120s", "20s", "15min", 4, PROBE

    def __init__(self, context):
        super().__init__(context)
        self.m.write("/usr/local/bin/runner-works", RUNNER_WORKS, 0o755)

    def prepare(self):
        self.m.run("systemctl", "disable", "--now", "postfix.service", check=False)
        self.sink(2525)

    def is_up(self):
        wait(lambda: all(self.m.run("runner-works", name, check=False).returncode == 0 for name in RUNNERS), 240,
             "Mailman's runners")
        wait(lambda: ":8024 " in self.m.run("ss", "-ltn").stdout, 120, "Mailman to listen")

    def runner(self, name):
        """The process that works on one queue."""
        return self.m.run("pgrep", "-f", "--", "--runner=%s:" % name, check=False).stdout.split()

    def submit(self, count, poison=()):
        self.m.run("/usr/local/bin/submit", "lmtp:8024", "to:test@lists.test.invalid", str(count),
                   *["%d=%s" % p for p in dict(poison).items()], timeout=300)


def _fifo_for_a_message(mailman):
    """Whoever opens it waits for ever."""
    bad = "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709"
    mailman.m.run("sh", "-c", "mkfifo %s/%s.pck && chown list:list %s/%s.pck" % (IN, bad, IN, bad))
    mailman.submit(10)
    closed = mailman.check_healed(culprits=[bad])
    mailman.check_symptom("stalled")
    mailman.check_mail(closed, ["t%d" % i for i in range(1, 11)])


def _runner_stopped(mailman):
    """kill -STOP of the runner that sends: mail is taken, and none comes out."""
    mailman.m.run("kill", "-STOP", *mailman.runner("out"))
    mailman.submit(10)
    closed = mailman.check_healed()
    mailman.check_symptom("stalled")
    mailman.check_mail(closed, ["t%d" % i for i in range(1, 11)])


def _configuration(mailman):
    """A section that is none."""
    mailman.m.run("systemctl", "stop", "sink.service")
    mailman.m.run("sed", "-i", "1i no section here", "/etc/mailman3/mailman.cfg")
    mailman.m.run("systemctl", "restart", mailman.unit, check=False)
    mailman.check_vetoed("not_configured", mailman.spool())


def test_mailman_faults(context):
    """One after the other on one machine: each has an incident of its own."""
    mailman = Mailman(context)
    mailman.begin()
    _fifo_for_a_message(mailman)
    mailman.again()
    _runner_stopped(mailman)
    mailman.again()
    _configuration(mailman)


BEHIND = """\
    units = [ "mailman3.service", "postfix@-.service" ];
    stores = (
      { name = "mailman"; dirs = [ "/var/lib/mailman3/queue/in", "/var/lib/mailman3/queue/pipeline",
                                   "/var/lib/mailman3/queue/out", "/var/lib/mailman3/queue/virgin" ];
        layout = { match = "^(?<id>[^/]+)\\\\.(?:pck|bak)$"; live_return = true; }; } );
"""
MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.test.invalid
mydestination = localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
relay_domains = lists.test.invalid
transport_maps = inline:{lists.test.invalid=lmtp:[127.0.0.1]:8024, later.test.invalid=smtp:[127.0.0.1]:2526}
default_transport = smtp:[127.0.0.1]:2525
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
alias_maps =
"""
SMTP = '           { type = "smtp"; address = "127.0.0.1:25"; interval = "2s"; timeout = "4s"; failures = 3; },\n'


class Behind(Mailman):
    """Postfix with Mailman behind it, watched as one service: Mailman's queue is the store after Postfix's."""

    preset, unit = "postfix", "postfix@-.service"
    probe, keys, restarts = PROBE.replace("           { type = \"exec\"", SMTP + "           { type = \"exec\""), BEHIND, 0

    def prepare(self):
        self.sink(2525)
        self.m.write("/etc/postfix/main.cf", MAIN_CF)
        self.m.run("sed", "-i", "s/^smtp_port:.*/smtp_port: 25/", "/etc/mailman3/mailman.cfg")
        self.m.run("systemctl", "restart", "mailman3.service")

    def submit(self, count, to="test@lists.test.invalid"):
        self.m.run("/usr/local/bin/submit", "to:" + to, str(count), timeout=300)

    def deferred(self):
        """{path: (digest, inode, mode, uid, gid)} of what Postfix keeps for later; the time is that of the next try."""
        self.queue = ("/var/spool/postfix/deferred",)
        return {path: entry[:5] for path, entry in self.spool().items()}


def test_mailman_behind_postfix(context):
    """A file in Mailman's queue that kills its runner at each start. Postfix's queue is innocent: it is set aside, and given
    back as it was; then the second store is searched."""
    server = Behind(context)
    server.begin()
    server.submit(4, "user@later.test.invalid")
    wait(lambda: len(server.deferred()) == 4, 120, "mail that Postfix keeps for later")
    before = server.deferred()
    server.m.run("kill", "-STOP", *server.runner("in"))
    server.submit(3)
    wait(lambda: len(os.listdir(server.m.path(IN))) == 3, 120, "mail that waits in Mailman's queue")
    server.m.run("sh", "-c", "echo text >%s/foreign.pck && chown list:list %s/foreign.pck" % (IN, IN))
    server.m.run("kill", "-CONT", *server.runner("in"))
    closed = server.check_healed(culprits=["foreign"])
    server.check_symptom("unresponsive", "stalled")
    check_equal([r["data"]["store"] for r in server.audit("store.held")], ["queue", "mailman"], "stores that were set aside")
    check_equal(server.deferred(), before, "Postfix's queue")
    server.check_mail(closed, ["t1", "t2", "t3"])
