"""Debian's Postfix with 1,000 messages in its queue, one of which hangs or crashes the transport of all others."""

import collections
import json
import os
import shutil

import world
from machine import check, check_equal, wait

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = "/var/lib/mailtest"
QUEUE = "/var/spool/postfix"
HOLD = "/var/spool/unjam"
SLACK = 3  # seconds that an inventory and the record that tells of it may lie apart on a busy machine

MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.test.invalid
mydestination = localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
default_transport = deliver:
deliver_destination_recipient_limit = 1
deliver_destination_concurrency_limit = 1
smtpd_client_message_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
alias_maps =
"""

MASTER_CF = """\
deliver   unix  -       n       n       -       1       pipe
  user=mailtest argv=/usr/local/bin/deliver ${queue_id} ${sender}
"""

CONFIG = """\
mode = "act";
services = (
  { name = "postfix"; manager = "systemd"; unit = "postfix@-.service";
    start_timeout = "20s"; stop_timeout = "15s"; kill_timeout = "10s";
    probes = ( { type = "smtp"; address = "127.0.0.1:25"; interval = "5s"; timeout = "3s"; failures = 3; } );
    stall = { after = "8s"; };
    events = ( { name = "child-killed"; source = "journal"; match = "process \\\\S+/pipe pid [0-9]+ killed by signal";
                 symptom = "crashed"; } );
    stores = (
      { name = "queue"; hold = "/var/spool/unjam";
        dirs = [ "/var/spool/postfix/incoming", "/var/spool/postfix/active", "/var/spool/postfix/deferred" ];
        layout = { match = "^(?:[0-9A-F]/)*(?<id>[0-9A-F]{6,20})$"; };
        after_release = [ "/usr/sbin/postqueue", "-f" ]; } );
    recovery = { settle = "3s"; verify = "8s"; max_time = "5min"; max_per_hour = 20; };
  } );
"""


class Postfix(world.Imc):
    """Postfix where the other tests have imcd."""

    service, unit, config = "postfix", "postfix@-.service", CONFIG

    def __init__(self, context):
        self.context = context
        self.m = context.machine("postfix")
        self.sent = collections.Counter()
        m = self.m
        for name in "deliver", "submit":
            shutil.copy("%s/files/%s" % (HERE, name), m.path("/usr/local/bin/" + name))
        shutil.copy(m.path("/bin/kill"), m.path("/usr/local/bin/kill-any"))
        m.write("/etc/postfix/main.cf", MAIN_CF)
        m.write("/etc/postfix/master.cf", m.read("/etc/postfix/master.cf") + MASTER_CF)
        m.write("/etc/unjamd/unjamd.conf", self.config, 0o600)

    def begin(self, count, poison):
        """Postfix runs, and @count messages wait in its queue; {queue id: token}."""
        m = self.m
        m.boot()
        m.run("useradd", "-r", "-d", HOME, "mailtest")
        m.run("setcap", "cap_kill+ep", "/usr/local/bin/kill-any")
        m.run("install", "-d", "-o", "mailtest", HOME, HOME + "/tmp", HOME + "/new")
        m.run("touch", HOME + "/gate")
        m.run("systemctl", "restart", "postfix")
        wait(lambda: m.property(self.unit, "ActiveState") == "active", 30, "Postfix")
        m.run("/usr/local/bin/submit", str(count), *["%d=%s" % p for p in poison.items()], timeout=300)
        waiting = self.waiting()
        check_equal(len(waiting), count, "messages in the queue")
        return waiting

    def waiting(self):
        """{queue id: token} of all that postqueue sees."""
        out = self.m.run("postqueue", "-j").stdout
        return {r["queue_id"]: r["sender"].split("@")[0] for r in map(json.loads, out.splitlines())}

    def delivered(self):
        names = os.listdir(self.m.path(HOME + "/new"))
        return collections.Counter(name.split(".")[1] for name in names)

    def delivered_at(self):
        """{queue id: when it was delivered first, in seconds since the epoch}"""
        with os.scandir(self.m.path(HOME + "/new")) as entries:
            found = sorted(((e.stat().st_mtime, e.name.split(".")[1]) for e in entries), reverse=True)
        return {queue_id: when for when, queue_id in found}

    def entry_of(self, queue_id):
        for base, _, names in os.walk(self.m.path(QUEUE)):
            for name in names:
                path = "%s/%s" % (base, name)
                if name == queue_id and os.path.basename(os.path.dirname(path)) not in ("defer", "bounce", "trace"):
                    st = os.lstat(path)
                    return (world.digest_of(path), st.st_ino, st.st_uid)
        return None


def _check_ledger_by_message(postfix, closed, sent, poison):
    """Queue, mailboxes and quarantine say of each message that was sent in which column of the ledger it belongs.

    What was delivered within SLACK of the first or the last inventory may be on either side of it; nothing else may."""
    ledger = postfix.check_ledger(closed)
    queue, delivered = set(postfix.waiting()), postfix.delivered_at()
    [opened] = postfix.audit("incident.opened", incident=closed["incident"])
    quarantined = {r["data"]["id"] for r in postfix.audit("message.quarantined", incident=closed["incident"])}
    first, last = world.time_of(opened), world.time_of(closed)
    around = {i for i, when in delivered.items() if abs(when - first) < SLACK or when > last - SLACK}
    during = {i for i, when in delivered.items() if first < when < last} - around
    print("ledger %r queue %d delivered %d during %d around %d"
          % (ledger, len(queue), len(delivered), len(during), len(around)))
    check_equal(quarantined, {poison}, "ledger: quarantined")
    check_equal(queue | set(delivered) | quarantined, set(sent), "queue, mailboxes and quarantine together")
    check(poison not in queue | set(delivered), "the culprit is in quarantine and nowhere else")
    check_equal([ledger[k] for k in ("quarantined", "held", "arrived")], [1, 0, 0], "ledger: what else there was")
    for column, found, least, most in (
            ("consumed", ledger["consumed"], during, during | around),
            ("untouched and restored", ledger["untouched"] + ledger["restored"], queue, queue | around),
            ("before", ledger["before"], during | queue | quarantined, during | queue | quarantined | around)):
        check(len(least) <= found <= len(most), "ledger: %d %s, but %d to %d messages were"
              % (found, column, len(least), len(most)))


def _story(context, what):
    postfix = Postfix(context)
    waiting = postfix.begin(1000, {371: what})
    [poison] = [i for i, token in waiting.items() if token == "t371"]
    before = postfix.entry_of(poison)
    m = postfix.m
    m.run("systemctl", "enable", "--now", "unjamd.service")
    os.unlink(m.path(HOME + "/gate"))

    closed = postfix.closed(360)
    data = closed["data"]
    check_equal(data["result"], "recovered", "result")
    check_equal([c["id"] for c in data["culprits"]], [poison], "culprits")
    check(data["culprits"][0]["evidence"], "the culprit's evidence")
    _check_ledger_by_message(postfix, closed, waiting, poison)

    wait(lambda: not postfix.waiting(), 120, "the queue to run empty")
    found = postfix.delivered()
    check_equal(sorted(set(waiting) - set(found)), [poison], "what was not delivered")
    check_equal(set(found) - set(waiting), set(), "what was delivered and never sent")
    repeated = {i for i, n in found.items() if n > 1}
    check(repeated <= set(data["maybe_repeated"]), "repeated: %s; named: %s" % (repeated, data["maybe_repeated"]))

    [kept] = [p for p in (os.path.join(b, n) for b, _, names in os.walk(m.path(HOLD + "/quarantine")) for n in names)
              if os.path.basename(p) == poison]
    st = os.lstat(kept)
    check_equal((world.digest_of(kept), st.st_ino, st.st_uid), before, "the culprit in quarantine")
    check_equal([r["id"] for r in postfix.quarantined()], [poison], "unjamctl quarantine list")
    check_equal(postfix.state(), "healthy", "state")
    check_equal(m.property("postfix@-.service", "ActiveState"), "active", "Postfix")
    postfix.check_verify()
    print("outage_ms %(outage_ms)d duration_ms %(duration_ms)d trials %(trials)d crashes %(crashes)d" % data)
    pid = m.property("unjamd.service", "MainPID")
    print("unjamd", m.run("grep", "VmRSS", "/proc/%s/status" % pid).stdout.strip())


def test_postfix_transport_hangs(context):
    _story(context, "hang")


def test_postfix_transport_crashes(context):
    _story(context, "crash")
