"""Debian's Postfix by its preset: the unit that is watched is the one that runs, not the wrapper that is active for ever."""

import json
import os

from cases_postfix import MAIN_CF, MASTER_CF
from machine import check, check_equal, wait
from server import HOME, Server


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
    wait(lambda: postfix.m.run("pgrep", "-x", "master", check=False).returncode == 0, 60, "master")


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


MILTER = """\
[Service]
ExecStart=/usr/local/bin/milter 8891
User=mailtest
LimitCORE=0
"""
SMALL = """\
    depends_on = [ "milter" ];
    stores = ( { name = "queue"; hold = "/var/spool/postfix/.unjam"; }, { name = "maildrop"; hold = "/var/spool/postfix/.unjam"; } );
"""
CANARY = """\
probes = ( { type = "smtp"; address = "127.0.0.1:25"; interval = "2s"; timeout = "5s"; failures = 3; },
           { type = "canary"; submit = [ "/usr/local/bin/smtp-in", "mailtest@localhost" ];
             arrives = "/var/lib/mailtest/Canary/"; within = "45s"; interval = "3s"; failures = 2; } );
"""
FILTERED = """\
smtpd_milters = inet:127.0.0.1:8891
milter_default_action = tempfail
home_mailbox = Canary/
default_transport = smtp:[127.0.0.1]:2525
minimal_backoff_time = 1h
maximal_backoff_time = 1h
"""


class Surrounded(Postfix):
    """Its spool on a small file system of its own, a milter that is watched as well, and a canary through all of it."""

    probe, keys, stall = CANARY, SMALL, "1h"
    more = """, { name = "milter"; unit = "milter.service"; start_timeout = "30s"; recovery = { settle = "2s"; verify = "4s"; };
      probes = ( { type = "tcp"; address = "127.0.0.1:8891"; interval = "2s"; timeout = "5s"; failures = 3; } ); }"""

    def prepare(self):
        super().prepare()
        self.m.write("/etc/postfix/main.cf", MAIN_CF.replace("default_transport = deliver:\n", "") + FILTERED)
        self.m.write("/etc/systemd/system/milter.service", MILTER)
        self.m.run("sh", "-e", "-c", "systemctl stop postfix postfix@-; cp -a /var/spool/postfix /root/postfix; "
                   "mount -t tmpfs -o size=48m,mode=0755 tmpfs /var/spool/postfix; cp -a /root/postfix/. /var/spool/postfix")
        self.m.run("install", "-d", "-o", "mailtest", *[HOME + "/Canary" + name for name in ("", "/new", "/cur", "/tmp")])
        self.sink(2525)
        self.m.run("systemctl", "start", "milter.service")
        wait(lambda: ":8891 " in self.m.run("ss", "-ltn").stdout, 60, "the milter to listen")

    def of(self, service, event):
        return [r for r in self.audit(event) if r.get("service") == service]

    def deferred(self):
        """What waits, as the machine sees it: the host does not see what is mounted in there."""
        return self.m.run("sh", "-c", "cd /var/spool/postfix && find deferred -type f -printf '%p %i %s %m %u\\n' && "
                          "find deferred -type f -exec sha256sum {} +").stdout.splitlines()

    def explained(self, reason):
        """It fails, the reason is known, and nothing is done about it."""
        wait(lambda: json.loads(self.ctl("explain", "postfix").stdout)["reason"] == reason, 240, "the reason " + reason)
        causes = [(r["data"]["cause"], r["data"]["effect"]) for r in self.of("postfix", "cause")]
        check_equal(causes, [(reason, "veto")], "causes")
        check_equal(self.of("postfix", "symptom")[0]["data"]["symptom"], "unresponsive", "symptom")

    def untouched(self):
        wait(lambda: self.state() == "healthy", 240, "it to be healthy again")
        check_equal(self.of("postfix", "incident.opened") + self.of("postfix", "intent"), [], "incidents and acts")


def _disk_full(postfix):
    """The file system of the spool is full: nothing is accepted, the mail in it is left alone, and when there is room it flows."""
    postfix.m.run("systemctl", "stop", "sink.service")
    postfix.submit(5)
    wait(lambda: len(postfix.deferred()) == 10, 120, "five messages that wait")
    before = postfix.deferred()
    postfix.m.run("sh", "-c", "cat /dev/zero >/var/spool/postfix/filler 2>/dev/null; true")
    postfix.explained("disk_full")
    check(set(before) <= set(postfix.deferred()), "the mail on the full disk: %s" % before)
    postfix.m.run("rm", "/var/spool/postfix/filler")
    postfix.untouched()
    postfix.sink_start()
    postfix.m.run("postqueue", "-f")
    wait(lambda: set(postfix.delivered()) >= {"t%d" % i for i in range(1, 6)}, 120, "the mail to flow again")


def _milter_dies(postfix):
    """A message that kills its milter: that is started again, and Postfix is left alone."""
    r = postfix.m.run("/usr/local/bin/submit", "1", "1=crash", check=False)
    check(r.returncode != 0, "the message is refused")
    wait(lambda: postfix.of("milter", "incident.closed"), 120, "the milter's recovery")
    check_equal(postfix.of("milter", "incident.closed")[0]["data"]["result"], "recovered", "result")
    check_equal(postfix.of("milter", "symptom")[0]["data"]["symptom"], "crashed", "the milter's symptom")
    postfix.submit(5)
    wait(lambda: len(postfix.delivered()) == 5, 120, "mail through the milter")
    postfix.untouched()


def _milter_stays_dead(postfix):
    """It can't be started: what Postfix can't do is explained by that, until somebody has mended it."""
    postfix.m.run("chmod", "-x", "/usr/local/bin/milter")
    postfix.m.run("systemctl", "kill", "-s", "SEGV", "milter.service")
    postfix.explained("dependency_down")
    postfix.m.run("chmod", "+x", "/usr/local/bin/milter")
    wait(lambda: postfix.of("milter", "incident.closed"), 240, "unjamd to give the milter up")
    postfix.m.run("systemctl", "reset-failed", "milter.service", check=False)
    postfix.m.run("systemctl", "start", "milter.service")
    postfix.untouched()
    postfix.submit(5)
    wait(lambda: len(postfix.delivered()) == 5, 120, "mail through the milter")


def test_postfix_preset_surroundings(context):
    """What lies outside of Postfix explains what it can't do. One after the other on one machine."""
    postfix = Surrounded(context)
    postfix.begin()
    for fault in (_disk_full, _milter_dies, _milter_stays_dead):
        fault(postfix)
        postfix.again()
    postfix.check_verify()
