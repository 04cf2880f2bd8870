"""Debian's Sendmail with one queue runner, which hands its mail to a server on loopback."""

import re

from machine import wait
from server import Server

SET = """
s/^DS.*/DSrelay:[127.0.0.1]/
s/^O DeliveryMode=.*/O DeliveryMode=queueonly/
s/^#*O MaxQueueChildren.*/O MaxQueueChildren=1/
s/^#*O MaxRunnersPerQueue.*/O MaxRunnersPerQueue=1/
s/^#*O QueueLA=.*/O QueueLA=500/
s/^#*O RefuseLA=.*/O RefuseLA=500/
s/^#*O MinQueueAge.*/O MinQueueAge=0/
/^Mrelay/,/^M[a-z]*,/s/A=TCP $h/A=TCP $h 2525/
"""
SUBMIT = ("printf 'Subject: %(n)d\\n%(header)s\\ntext\\n' | sendmail -Am -odq -i -f t%(n)d@test.invalid user@dest.test.invalid\n")


class Sendmail(Server):
    kind, preset, unit = "sendmail", "sendmail", "sendmail.service"
    queue = ("/var/spool/mqueue",)
    interval = "3s"
    stall = "10s"

    def prepare(self):
        self.sink(2525)
        self.m.run("cp", "/etc/mail/service.switch-nodns", "/etc/mail/service.switch")
        self.m.run("sed", "-i", "-e", SET, "/etc/mail/sendmail.cf")
        self.m.run("sed", "-i", "s/^QUEUE_INTERVAL=.*/QUEUE_INTERVAL=\"%s\";/" % self.interval, "/etc/mail/sendmail.conf")

    def submit(self, count, poison=()):
        poison = dict(poison)
        self.m.run("sh", "-e", "-c", "".join(
            SUBMIT % {"n": n, "header": "X-Test: %s\\n" % poison[n] if n in poison else ""} for n in range(1, count + 1)),
            timeout=300)

    def waiting(self):
        found = {}
        for path in self.spool():
            if "/qf" in path:
                token = re.search(r"^S<?(t\d+)@", self.m.run("cat", path).stdout, re.M)
                found[path.rsplit("/qf", 1)[1]] = token.group(1)
        return found

    def pid(self):
        return self.m.run("head", "-n", "1", "/run/sendmail/mta/sendmail.pid").stdout.strip()


class IdleSendmail(Sendmail):
    """Without queue runs while a test lasts."""

    interval, stall = "2h", "3h"


def test_sendmail_delivery_hangs(context):
    """The server that the mail goes to never answers for one message, and the only queue runner waits."""
    server = Sendmail(context)
    server.begin()
    server.submit(15, {4: "hang"})
    closed = server.closed(300)
    [poison] = [c["id"] for c in closed["data"]["culprits"]]
    server.check_healed(culprits=[poison])
    server.check_symptom("stalled")
    server.check_mail(closed, ["t%d" % i for i in range(1, 16)], ["t4"])
    server.m.run("sed", "-i", "s/time.sleep(3600)/pass/", "/usr/local/bin/sink")
    server.sink_start()
    server.release("t4")


def test_sendmail_configuration(context):
    """An option that Sendmail does not know: the unit is active all the same, and nobody listens."""
    server = IdleSendmail(context)
    server.begin(8)
    before = server.spool()
    server.m.run("sed", "-i", "1iO NoSuchOption=1", "/etc/mail/sendmail.cf")
    server.m.run("systemctl", "restart", server.unit, check=False)
    server.check_vetoed("not_configured", before)


def test_sendmail_daemon_stopped(context):
    """kill -STOP of the daemon. The start that cures it runs the queue."""
    server = IdleSendmail(context)
    waiting = server.begin(8)
    server.m.run("kill", "-STOP", server.pid())
    closed = server.check_healed()
    server.check_symptom("unresponsive")
    server.check_mail(closed, waiting.values())
    wait(lambda: not server.waiting(), 60, "the queue to run empty")
