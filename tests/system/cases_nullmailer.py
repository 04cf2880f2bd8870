"""Debian's nullmailer: one sender, which hands one message after the other to a relay."""

import os

from machine import check, check_equal
from server import HOME, Server

SPOOL = "/var/spool/nullmailer"
SUBMIT = "for i in $(seq %d %d); do printf 'Subject: %%d\\n\\ntext\\n' $i | sendmail -f t$i@test.invalid u@dest.test.invalid; done"


class Nullmailer(Server):
    kind, preset, unit = "nullmailer", "nullmailer", "nullmailer.service"
    queue = (SPOOL + "/queue",)
    probe = ""

    stall = "10s"

    def prepare(self):
        self.sink(2525)
        self.m.write("/etc/nullmailer/remotes", "127.0.0.1 smtp --port=2525\n")
        self.m.run("chown", "mail:mail", "/etc/nullmailer/remotes")

    def submit(self, count, poison=()):
        self.m.run("sh", "-c", SUBMIT % (1, count), timeout=300)

    def pid(self):
        return self.m.property(self.unit, "MainPID")


class IdleNullmailer(Nullmailer):
    """Whose mail waits for its relay, rightly."""

    stall = "1h"


def test_nullmailer_spool_file_blocks(context):
    """A FIFO among the messages: the sender opens it, and waits for ever."""
    server = Nullmailer(context)
    server.begin()
    server.m.run("sh", "-c", "mkfifo %s/queue/1795352785.66 && chown mail: %s/queue/1795352785.66" % (SPOOL, SPOOL))
    server.submit(20)
    closed = server.check_healed(culprits=["1795352785.66"])
    server.check_symptom("stalled")
    server.check_mail(closed, ["t%d" % i for i in range(1, 21)])


def test_nullmailer_trigger_gone(context):
    """Without its FIFO it does not start: that is made again, and no message is touched."""
    server = IdleNullmailer(context)
    server.begin()
    server.m.run("systemctl", "stop", "sink.service")
    server.submit(10)
    before = server.spool()
    check_equal(len(before), 10, "messages that wait")
    os.unlink(server.m.path(SPOOL + "/trigger"))
    # It may have noticed by itself, and be gone already.
    server.m.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", server.unit, check=False)
    closed = server.check_healed()
    check("rebuildable_state" in [r["data"]["cause"] for r in server.audit("cause")], "the cause")
    check_equal(server.audit("message.held") + server.audit("store.held"), [], "mail that was moved")
    st = os.lstat(server.m.path(SPOOL + "/trigger"))
    check_equal(oct(st.st_mode), "0o10622", "the FIFO")
    server.check_same(before, server.spool())
    server.sink_start()
    server.m.run("systemctl", "restart", server.unit)
    server.check_mail(closed, ["t%d" % i for i in range(1, 11)])


def test_nullmailer_sender_stopped(context):
    """kill -STOP of the sender: the unit is active, and nothing moves."""
    server = Nullmailer(context)
    server.begin()
    server.m.run("kill", "-STOP", server.pid())
    server.submit(10)
    closed = server.check_healed()
    server.check_symptom("stalled")
    server.check_mail(closed, ["t%d" % i for i in range(1, 11)])


def test_nullmailer_configuration(context):
    """Without a relay it lives, and sends nothing: no message is to blame, or touched."""
    server = Nullmailer(context)
    server.begin()
    server.m.write("/etc/nullmailer/remotes", "# none\n")
    server.m.run("systemctl", "restart", server.unit)
    server.submit(10)
    server.check_vetoed("not_configured", server.spool())
    check(not os.listdir(server.m.path(HOME + "/new")), "nothing was sent")
