"""Debian's Exim with one queue runner at a time, as a small host has it: what jams that one, jams all mail."""

import re

from machine import wait
from server import Server

CONF = """\
primary_hostname = mail.test.invalid
acl_smtp_rcpt = accept
acl_smtp_data = accept
queue_only = true
queue_run_max = 1
smtp_accept_queue_per_connection = 0
begin acl
accept:
  accept
begin routers
all:
  driver = accept
  transport = deliver
begin transports
deliver:
  driver = pipe
  command = /usr/local/bin/deliver
  user = mailtest
  return_output = false
  timeout = 1h
begin retry
* * F,5d,5s
"""


class Exim(Server):
    kind, preset, unit = "exim", "exim4", "exim4.service"
    queue = ("/var/spool/exim4/input",)
    runner = "combined"

    def prepare(self):
        self.m.write("/etc/exim4/exim4.conf", CONF)
        self.m.write("/etc/default/exim4", "QUEUERUNNER=%s\nQUEUEINTERVAL=3s\n" % self.runner)

    def waiting(self):
        lines = self.m.run("exim4", "-bp").stdout
        return dict(re.findall(r"([0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}) <(t\d+)@test.invalid>", lines))


class IdleExim(Exim):
    """Without queue runs: what waits, waits."""

    runner, stall = "no", "1h"


def test_exim_delivery_hangs(context):
    """The command of a pipe transport hangs on one message, and with it the only queue runner."""
    exim = Exim(context)
    exim.begin()
    exim.submit(30, {7: "hang"})
    closed = wait(lambda: exim.audit("incident.closed"), 240, "the end of the incident")[0]
    [poison] = [c["id"] for c in closed["data"]["culprits"]]
    exim.check_healed(culprits=[poison])
    exim.check_symptom("stalled")
    exim.check_mail(closed, ["t%d" % i for i in range(1, 31)], ["t7"])
    # Mended, it is as good as any other.
    exim.m.run("sed", "-i", "s/time.sleep(3600)/pass/", "/usr/local/bin/deliver")
    exim.release("t7")


def test_exim_spool_file_blocks(context):
    """A FIFO in the place of a message's headers: whoever opens it waits for ever."""
    exim = Exim(context)
    exim.begin()
    bad = "1xV6ta-00009W-30"
    exim.m.run("sh", "-c", "cd /var/spool/exim4/input && printf '%s-D\\nbody\\n' " + bad + " > " + bad + "-D && mkfifo " +
               bad + "-H && chown Debian-exim: " + bad + "-? && chmod 640 " + bad + "-?")
    exim.submit(20)
    closed = exim.check_healed(culprits=[bad])
    exim.check_symptom("stalled")
    exim.check_mail(closed, ["t%d" % i for i in range(1, 21)])


def test_exim_configuration(context):
    """A configuration that Exim refuses: nobody can start it, and no message is touched."""
    exim = IdleExim(context)
    exim.begin(10)
    before = exim.spool()
    exim.m.write("/etc/exim4/exim4.conf", "no_such_option = 1\n" + CONF)
    exim.m.run("systemctl", "restart", exim.unit, check=False)
    exim.check_vetoed("not_configured", before)


def test_exim_daemon_stopped(context):
    """kill -STOP of the daemon: connections are taken and nobody says a word."""
    exim = IdleExim(context)
    waiting = exim.begin(10)
    before = exim.spool()
    exim.m.run("kill", "-STOP", exim.m.run("cat", "/run/exim4/exim.pid").stdout.strip())
    closed = exim.check_healed(before)
    exim.check_symptom("unresponsive")
    exim.m.run("exim4", "-qf")
    exim.check_mail(closed, waiting.values())
