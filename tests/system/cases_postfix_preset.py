"""Debian's Postfix by its preset: the unit that is watched is the one that runs, not the wrapper that is active for ever."""

import json
import os

from cases_postfix import MAIN_CF, MASTER_CF
from machine import check_equal, wait
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


class NativePostfix(Postfix):
    """Culprits go into Postfix's own hold."""

    restarts = 0
    keys = 'stores = ( { name = "queue"; quarantine = "native"; } );'


def test_postfix_preset_native_hold(context):
    """A message that hangs the transport of all others ends in Postfix's own hold, and leaves it by a release."""
    postfix = NativePostfix(context)
    postfix.begin()
    postfix.submit(30, {7: "hang"})
    closed = wait(lambda: postfix.audit("incident.closed"), 300, "the end of the incident")[0]
    [culprit] = closed["data"]["culprits"]
    postfix.check_healed(culprits=[culprit["id"]])
    postfix.check_symptom("stalled")
    [ours, native] = [r["data"] for r in postfix.audit("message.quarantined")]
    check_equal((ours["id"], "native" in ours, native["id"], native["native"]),
                (culprit["id"], False, culprit["id"], True), "records of the quarantine")
    place = "/var/spool/postfix/hold/" + culprit["id"]
    [file] = native["files"]
    check_equal(native["where"], [{"path": place, "inode": file["inode"]}], "where it is")
    st = os.lstat(postfix.m.path(place))
    check_equal((st.st_ino, st.st_size), (file["inode"], file["size"]), "the file in Postfix's hold")
    held = [r["queue_id"] for r in map(json.loads, postfix.m.run("postqueue", "-j").stdout.splitlines())
            if r["queue_name"] == "hold"]
    check_equal(held, [culprit["id"]], "what Postfix holds")
    check_equal([(r["native"], r["left"]) for r in postfix.quarantined()], [(True, False)], "unjamctl quarantine list")
    postfix.check_mail(closed, ["t%d" % i for i in range(1, 31)], ["t7"])
    # Mended, it is as good as any other; Postfix is not stopped for it.
    invocation = postfix.m.property(postfix.unit, "InvocationID")
    postfix.m.run("sed", "-i", "s/time.sleep(3600)/pass/", "/usr/local/bin/deliver")
    postfix.release("t7")
    check_equal(postfix.m.property(postfix.unit, "InvocationID"), invocation, "the run of Postfix")
    postfix.check_verify()
