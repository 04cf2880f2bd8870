"""Debian's OpenSMTPD, which hands its mail to a server on loopback."""

import os
import re
import time

from machine import check_equal, wait
from server import Server

CONF = """\
listen on 127.0.0.1
action "out" relay host smtp://127.0.0.1:2525
match from any for any action "out"
"""


class OpenSmtpd(Server):
    kind, preset, unit = "opensmtpd", "opensmtpd", "opensmtpd.service"
    queue = ("/var/spool/smtpd/queue",)
    stall = "1h"  # what waits here waits for the server it goes to

    def prepare(self):
        self.m.write("/etc/smtpd.conf", CONF)
        self.sink(2525)

    def hold_up(self):
        """From now on mail waits: nobody takes it."""
        self.m.run("systemctl", "stop", "sink.service")

    def waiting(self):
        """{message id: token} by what lies in the queue."""
        found = {}
        for path in self.spool():
            if re.fullmatch(r"[0-9a-f]{16}", os.path.basename(path)):
                token = re.search(r"^sender: (t\d+)@", self.m.read(path), re.M)
                found[os.path.basename(os.path.dirname(path))] = token.group(1)
        return found

    def flush(self):
        self.sink_start()
        self.m.run("systemctl", "restart", self.unit)  # it has put the way out aside for a while

        def try_now():  # what failed twice would be tried in a quarter of an hour; and it may not have read its queue yet
            self.m.run("smtpctl", "schedule", "all", check=False)
            time.sleep(1)
            return not self.spool()

        wait(try_now, 120, "the queue to run empty")


def test_opensmtpd_envelope_kills(context):
    """An envelope with times that are no times: the scheduler dies of it at each start, and with it the daemon."""
    server = OpenSmtpd(context)
    server.begin()
    server.hold_up()
    server.submit(12)
    waiting = server.waiting()
    check_equal(len(waiting), 12, "messages that wait")
    [bad] = [i for i, token in waiting.items() if token == "t5"]
    [envelope] = [p for p in server.spool() if "/%s/%s" % (bad, bad) in p]
    text = server.m.read(envelope)
    st = os.stat(server.m.path(envelope))
    server.m.run("systemctl", "stop", server.unit)
    with open(server.m.path(envelope), "w") as f:
        f.write(re.sub(r"^(ctime|ttl): .*", r"\1: 99999999999999", text, flags=re.M))
    os.utime(server.m.path(envelope), ns=(st.st_atime_ns, st.st_mtime_ns))
    server.m.run("systemctl", "start", server.unit, check=False)
    closed = server.check_healed(culprits=[bad])
    server.check_symptom("crashed", "start_failed")
    server.flush()
    server.check_mail(closed, waiting.values(), ["t5"])


def test_opensmtpd_configuration(context):
    """A configuration that it refuses."""
    server = OpenSmtpd(context)
    server.begin()
    server.hold_up()
    server.submit(5)
    server.m.run("systemctl", "stop", server.unit)
    before = server.spool()
    wait(lambda: server.m.property(server.unit, "ActiveState") == "inactive", 60, "it to be down")
    server.m.write("/etc/smtpd.conf", "no such word\\n" + CONF)
    server.m.run("systemctl", "start", server.unit, check=False)
    server.check_vetoed("not_configured", before)


def test_opensmtpd_child_stopped(context):
    """kill -STOP of the process that speaks SMTP: connections are taken and nobody says a word."""
    server = OpenSmtpd(context)
    server.begin()
    server.hold_up()
    server.submit(5)
    waiting = server.waiting()
    pids = server.m.run("pgrep", "-f", "pony express").stdout.split()
    server.m.run("kill", "-STOP", *pids)
    closed = server.check_healed()
    server.check_symptom("unresponsive")
    server.flush()
    server.check_mail(closed, waiting.values())
