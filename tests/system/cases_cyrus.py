"""Debian's Cyrus IMAP, which takes mail over LMTP at a local socket."""

import os

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


def test_cyrus_master_stopped(context):
    """kill -STOP of the master and its children: the socket takes connections, and nobody speaks."""
    server = Cyrus(context)
    server.begin()
    pids = server.m.run("pgrep", "-u", "cyrus").stdout.split()
    server.m.run("kill", "-STOP", *pids)
    server.check_healed()
    server.check_symptom("unresponsive")


def test_cyrus_configuration(context):
    """A service whose program is not there: the master exits."""
    server = Cyrus(context)
    server.begin()
    server.m.write("/etc/imapd.conf", "no words here\n" + server.m.read("/etc/imapd.conf"))
    server.m.run("systemctl", "restart", server.unit, check=False)
    server.check_vetoed("not_configured", {})


def test_cyrus_socket_directory_gone(context):
    """The directory of its sockets is gone, and it does not make it: that is made again."""
    server = Cyrus(context)
    server.begin()
    server.m.run("rm", "-rf", "/run/cyrus/socket")
    server.check_healed()
    server.check_symptom("unresponsive")
    check("rebuildable_state" in [r["data"]["cause"] for r in server.audit("cause")], "the cause")
    wait(lambda: server.m.run("test", "-S", "/run/cyrus/socket/lmtp", check=False).returncode == 0, 10, "the socket")
    check_equal(server.audit("message.held") + server.audit("store.held"), [], "mail that was moved")
    check(os.path.isdir(server.m.path("/var/lib/cyrus")), "its state")
