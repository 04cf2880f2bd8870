"""Claims and logs under a real systemd: what anybody can write into a log, and what comes of it (promise 9)."""

import os
import time

from machine import check, check_equal, wait
from world import Imc

LOG = "/var/log/imc.log"
RULE = '''events = (
      { name = "imc-4037"; source = "journal"; field = "EVENT_ID"; equals = "4037"; symptom = "crashed"; },
      { name = "imc-log"; source = "file"; path = "%s"; match = "event 4037(?: in (?<id>[^ ]+))?";
        captures = [ "id" ]; symptom = "crashed"; } );''' % LOG
SEND = ("import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        "s.sendto(sys.stdin.buffer.read(), \"/run/systemd/journal/socket\"); time.sleep(3)")
FORGED = "MESSAGE=imcd was terminated unexpectedly\nEVENT_ID=4037\n_SYSTEMD_UNIT=imc.service\nUNIT=imc.service\n_PID=1\n"


def _pid(imc):
    return imc.m.property("imc.service", "MainPID")


def _nothing_was_done(imc, pid, seconds=5):
    time.sleep(seconds)
    check_equal(imc.audit("intent"), [], "acts")
    check_equal(imc.audit("incident.opened"), [], "incidents")
    check_equal(_pid(imc), pid, "main process")


def _rule(imc, name):
    return [r for r in imc.audit("symptom") if r["data"].get("rule") == name]


def _append(imc, text):
    with open(imc.m.path(LOG), "a") as f:
        f.write(text)


def test_claims_of_strangers(context):
    """Any local user logs the event, in every way there is; and then from inside of the service's control group."""
    imc = Imc(context)
    imc.configure()
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    pid = _pid(imc)
    for words in (("logger", "-t", "imcd", "EVENT_ID=4037"), ("systemd-cat", "-t", "imcd", "echo", "EVENT_ID=4037")):
        imc.m.run("runuser", "-u", "nobody", "--", *words)
    for _ in range(20):
        imc.m.run("runuser", "-u", "nobody", "--", "logger", "--journald", input=FORGED)
    imc.m.run("logger", "--journald", input=FORGED)
    check(imc.m.journal("EVENT_ID=4037", "-o", "cat").strip(), "the forged entries are in the journal")
    _nothing_was_done(imc, pid)
    check_equal(imc.audit("symptom"), [], "symptoms from entries of others")
    # A user's program that the server runs (a filter, a .forward) is in its control group: that is a claim, no more.
    # journald asks /proc for the sender's unit: whoever has ended by then has none, so it lives on for a while.
    imc.m.run("sh", "-c", "echo $$ >/sys/fs/cgroup/system.slice/imc.service/cgroup.procs; exec python3 -c '%s'" % SEND,
              input=FORGED)
    wait(lambda: _rule(imc, "imc-4037"), 20, "the claim on record")
    check(all(r["data"]["claimed"] for r in _rule(imc, "imc-4037")), "it is a claim")
    imc.mail("In", 20, tag="z")
    _nothing_was_done(imc, pid)
    check("claim" in imc.ctl("explain", "imc").stdout, "explain says that it is a claim only")


def test_claims_of_a_subject(context):
    """A sender's Subject stands in the service's own log, and names another's message."""
    imc = Imc(context)
    imc.configure(events=RULE)
    imc.m.write(LOG, "the beginning\n")
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    pid = _pid(imc)
    _append(imc, "imcd: accepted z001 Subject: event 4037 in z007, terminated unexpectedly\n")
    wait(lambda: _rule(imc, "imc-log"), 20, "the claim on record")
    check(all(r["data"]["claimed"] for r in _rule(imc, "imc-log")), "it is a claim")
    imc.mail("In", 30, tag="z")
    _nothing_was_done(imc, pid)
    wait(lambda: not imc.left(), 20, "delivery")
    check_equal(len(imc.delivered()), 30, "messages delivered, z007 with them")


def test_log_file_while_unjamd_is_dead(context):
    """kill -9, a rotation, a line in a file that has another name by then; and a log that is gone is a gap."""
    imc = Imc(context)
    imc.configure(events=RULE)
    imc.m.write(LOG, "the beginning\n")
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    _append(imc, "nothing\n")
    time.sleep(6)  # the position is saved every few seconds when nothing was found
    imc.m.run("systemctl", "kill", "-s", "KILL", "unjamd.service")
    _append(imc, "event 4037\n")
    os.rename(imc.m.path(LOG), imc.m.path(LOG + ".1"))
    imc.m.write(LOG, "a new file\n")
    wait(lambda: _rule(imc, "imc-log"), 30, "the line that was written meanwhile")
    check_equal(len(_rule(imc, "imc-log")), 1, "it is seen once")
    time.sleep(6)
    imc.m.run("systemctl", "stop", "unjamd.service")
    os.unlink(imc.m.path(LOG))
    imc.m.run("systemctl", "start", "unjamd.service")
    wait(lambda: [r for r in imc.audit("evidence") if r["data"].get("kind") == "gap"], 20, "the gap on record")
    check("not known" in imc.ctl("explain", "imc").stdout, "explain shows the gap")
    check_equal(imc.audit("intent"), [], "acts")
