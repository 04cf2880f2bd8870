"""Debian's Cyrus IMAP, which takes mail over LMTP at a local socket."""

import os

import world
from machine import check, check_equal, wait
from server import Server

CYRUS_CONF = """\
START { recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r" }
SERVICES {
  imap cmd="imapd -U 30" listen="127.0.0.1:143" prefork=0 maxchild=10
  lmtpunix cmd="lmtpd" listen="/run/cyrus/socket/lmtp" prefork=0 maxchild=10
}
EVENTS { checkpoint cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30 }
"""


class Cyrus(Server):
    kind, preset, unit = "cyrus", "cyrus", "cyrus-imapd.service"
    probe = 'probes = ( { type = "lmtp"; path = "/run/cyrus/socket/lmtp"; interval = "2s"; timeout = "2s"; failures = 2; } );'
    stall = "1h"

    def __init__(self, context):
        super().__init__(context)
        # It has no queue that mail could wait in.
        conf = self.m.read("/etc/unjamd/unjamd.conf").replace('stall = { after = "1h"; };', "")
        self.m.write("/etc/unjamd/unjamd.conf", conf, 0o600)

    def prepare(self):
        self.m.run("systemctl", "disable", "--now", "postfix", check=False)
        self.m.write("/etc/cyrus.conf", CYRUS_CONF)


def _master_stopped(server):
    """kill -STOP of the master and its children: the socket takes connections, and nobody speaks."""
    server.m.run("kill", "-STOP", *server.m.run("pgrep", "-u", "cyrus").stdout.split())
    server.check_healed()
    server.check_symptom("unresponsive")


def _socket_directory_gone(server):
    """The directory of its sockets is gone, and it does not make it: that is made again."""
    server.m.run("rm", "-rf", "/run/cyrus/socket")
    server.check_healed()
    server.check_symptom("unresponsive")
    check("rebuildable_state" in [r["data"]["cause"] for r in server.audit("cause")], "the cause")
    wait(lambda: server.m.run("test", "-S", "/run/cyrus/socket/lmtp", check=False).returncode == 0, 60, "the socket")
    check_equal(server.audit("message.held") + server.audit("store.held"), [], "mail that was moved")
    check(os.path.isdir(server.m.path("/var/lib/cyrus")), "its state")


def _deliveries_corrupt(server):
    """Garbage for the database of what was delivered already: each lmtpd dies at its start, and names it in its log. It is
    purged alone, kept in the incident's folder, and made anew; nothing else of its state is touched."""
    names = ("mailboxes.db", "annotations.db")
    before = [world.entry_of(server.m.path("/var/lib/cyrus/" + name))[:2] for name in names]
    server.m.run("sh", "-c", "head -c 4096 /dev/urandom >/var/lib/cyrus/deliver.db")
    garbage = world.digest_of(server.m.path("/var/lib/cyrus/deliver.db"))
    server.m.run("pkill", "-x", "lmtpd", check=False)
    closed = server.check_healed()
    server.check_symptom("unresponsive", "event", "crashed")
    causes = [r["data"] for r in server.audit("cause") if r["data"]["cause"] == "rebuildable_state"]
    check(causes and "deliver.db" in causes[0]["detail"], "the cause: %s" % causes)
    check_equal(closed["data"]["trials"], 1, "trials")
    kept = server.m.run("find", "/var/lib/unjamd", "/var/spool/unjam", "-path", "*%s*" % closed["incident"], "-type", "f",
                        check=False).stdout.split()
    check_equal([world.digest_of(server.m.path(path)) for path in kept], [garbage], "what was purged: %s" % kept)
    check_equal([world.entry_of(server.m.path("/var/lib/cyrus/" + name))[:2] for name in names], before, "its state")


def _configuration(server):
    """A line that is none in imapd.conf: the master exits."""
    server.m.write("/etc/imapd.conf", "no words here\n" + server.m.read("/etc/imapd.conf"))
    server.m.run("systemctl", "restart", server.unit, check=False)
    server.check_vetoed("not_configured", {})


def test_cyrus_faults(context):
    """One after the other on one machine: each has an incident of its own."""
    server = Cyrus(context)
    server.begin()
    for fault in (_master_stopped, _socket_directory_gone, _deliveries_corrupt, _configuration):
        fault(server)
        if fault is not _configuration:
            server.again()
