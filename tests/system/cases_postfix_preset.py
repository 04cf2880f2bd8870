"""Debian's Postfix by its preset: the unit that is watched is the one that runs, not the wrapper that is active for ever."""

import json

from cases_postfix import MAIN_CF, MASTER_CF
from machine import wait
from server import Server


class Postfix(Server):
    kind, preset, unit = "postfix", "postfix", "postfix@-.service"
    queue = tuple("/var/spool/postfix/" + name for name in ("incoming", "active", "deferred", "maildrop"))
    stall = "10s"

    def prepare(self):
        self.m.write("/etc/postfix/main.cf", MAIN_CF)
        self.m.write("/etc/postfix/master.cf", self.m.read("/etc/postfix/master.cf") + MASTER_CF)

    def waiting(self):
        out = self.m.run("postqueue", "-j").stdout
        return {r["queue_id"]: r["sender"].split("@")[0] for r in map(json.loads, out.splitlines())}

    def stop_process(self, name):
        pids = self.m.run("pgrep", "-x", name).stdout.split()
        self.m.run("kill", "-STOP", *pids)


def test_postfix_preset_configuration(context):
    """A line that is none in main.cf."""
    postfix = Postfix(context)
    postfix.begin()
    postfix.m.write("/etc/postfix/main.cf", "no assignment\n" + MAIN_CF)
    postfix.m.run("systemctl", "restart", postfix.unit, check=False)
    postfix.check_vetoed("not_configured", {})


def test_postfix_preset_queue_manager_stopped(context):
    """kill -STOP of qmgr: SMTP answers 250, and nothing moves."""
    postfix = Postfix(context)
    postfix.begin()
    postfix.stop_process("qmgr")
    postfix.submit(20)
    closed = postfix.check_healed()
    postfix.check_symptom("stalled")
    postfix.check_mail(closed, ["t%d" % i for i in range(1, 21)])


def test_postfix_preset_master_stopped(context):
    """kill -STOP of master, and of the smtpd that it started: nobody greets."""
    postfix = Postfix(context)
    postfix.begin()
    postfix.stop_process("master")
    postfix.m.run("pkill", "-KILL", "-x", "smtpd", check=False)
    postfix.check_healed()
    postfix.check_symptom("unresponsive")
    wait(lambda: postfix.m.run("pgrep", "-x", "master", check=False).returncode == 0, 10, "master")
