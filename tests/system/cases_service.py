"""No message is to blame: the state is rebuilt, or people are told, and the spool stays as it was."""

import glob
import os
import time

from machine import check, check_equal, wait
from world import SPOOL, Imc

CORRUPT = "IMCQ 1\nstarts 3 delivered 9\nsum 00000000\n"


def _spoiled(context, spoil):
    """queue.dat is corrupt, and the service does not start with it. The purge cures that, mail stays where it is."""
    imc = Imc(context, "--exit-on-corrupt-queue-dat")
    imc.configure()
    imc.m.write(SPOOL + "/queue.dat", CORRUPT)
    imc.mail("In", 40)
    imc.mail("Out", 20)
    imc.boot()
    spoil(imc)
    imc.start(expect=False)
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal(closed["data"]["culprits"], [], "culprits")
    check_equal(closed["data"]["ledger"]["quarantined"], 0, "quarantined")
    imc.check_ledger(closed)
    wait(lambda: not imc.left(), 30, "the mail to be delivered")
    check_equal(sum(imc.delivered().values()), 60, "messages delivered")
    check_equal(imc.audit("symptom")[0]["data"]["symptom"], "start_failed", "the symptom")
    check("purging" in [r["to"] for r in imc.audit("state")], "it was purged")
    kept = [p for p in glob.glob(imc.m.path(SPOOL + "/.unjam/**/*"), recursive=True)
            if os.path.isfile(p) and open(p).read() == CORRUPT]
    check_equal(len(kept), 1, "copies of the old queue.dat in the incident's folder")
    imc.check_undisturbed()
    imc.check_verify()


def test_corrupt_queue_dat(context):
    _spoiled(context, lambda imc: None)


def test_corrupt_queue_dat_read_only(context):
    _spoiled(context, lambda imc: os.chmod(imc.m.path(SPOOL + "/queue.dat"), 0o444))


def test_corrupt_queue_dat_immutable(context):
    _spoiled(context, lambda imc: imc.m.run("chattr", "+i", SPOOL + "/queue.dat"))


def _no_culprit(context, switches, symptom, **unit):
    """Whatever is set aside, the service fails: told, and every message lies where it lay."""
    imc = Imc(context, switches, **unit)
    imc.configure()
    imc.mail("In", 40)
    imc.mail("Out", 20)
    imc.mail("mta", 10)
    before = imc.inventory()
    imc.boot()
    imc.m.run("systemctl", "start", "--no-block", "imc.service")
    closed = imc.closed(300)
    check_equal(closed["data"]["result"], "escalated", "result")
    check_equal(closed["data"]["culprits"], [], "culprits")
    ledger = imc.check_ledger(closed)
    check_equal((ledger["quarantined"], ledger["held"], ledger["consumed"]), (0, 0, 0), "nothing was kept or lost")
    imc.check_same(before, imc.inventory())
    check_equal(imc.state(), "escalated", "state")
    check(symptom in [r["data"]["symptom"] for r in imc.audit("symptom")], "the symptom " + symptom)
    check(imc.audit("alert"), "an alert")
    check(imc.m.run("journalctl", "-o", "json", "UNJAM_SERVICE=imc", "-n", "1").stdout, "the alert in the journal")
    imc.check_verify()
    return imc


def test_dies_at_start(context):
    _no_culprit(context, "--die-at-start 9", "start_failed")


def test_dies_a_second_after_each_start(context):
    _no_culprit(context, "--die-after-ms 700 --delay-ms 100000", "crashed")


def test_start_never_finishes(context):
    _no_culprit(context, "--start-hang", "start_hung", service="TimeoutStartSec=infinity")


def test_operator_stop_is_no_failure(context):
    imc = Imc(context)
    imc.configure()
    imc.mail("In", 20)
    imc.boot()
    imc.start()
    wait(lambda: not imc.left(), 20, "the mail")
    time.sleep(5)
    imc.m.run("systemctl", "stop", "imc.service")
    imc.mail("In", 30, tag="b")
    before = imc.inventory()
    time.sleep(8)
    check_equal(imc.audit("incident.opened"), [], "incidents after a stop")
    check_equal(imc.m.property("imc.service", "ActiveState"), "inactive", "imc.service")
    imc.m.run("systemctl", "mask", "--runtime", "imc.service")
    time.sleep(5)
    check_equal(imc.audit("incident.opened"), [], "incidents after a mask")
    imc.m.run("systemctl", "unmask", "--runtime", "imc.service")
    imc.check_same(before, imc.inventory())
    imc.start()
    wait(lambda: not imc.left(), 20, "the rest of the mail")
    check_equal(imc.audit("incident.opened"), [], "incidents")


def test_restart_by_an_operator_is_no_failure(context):
    imc = Imc(context, "--delay-ms 20")
    imc.configure()
    imc.mail("In", 300)
    imc.boot()
    imc.start()
    for _ in range(4):
        imc.m.run("systemctl", "restart", "imc.service")
    wait(lambda: not imc.left(), 60, "the mail")
    check_equal(imc.audit("incident.opened"), [], "incidents")


def test_observe_mode_changes_nothing(context):
    imc = Imc(context)
    imc.configure(mode="observe")
    imc.mail("In", 60, {20: "hang"})
    imc.mail("Out", 20)
    imc.boot()
    imc.start()
    wait(lambda: len(imc.delivered()) > 0, 20, "the first mail")
    pid = imc.m.property("imc.service", "MainPID")
    wait(lambda: imc.audit("incident.opened"), 60, "the incident to be seen")
    time.sleep(3)
    before = imc.inventory()
    closed = imc.closed()
    check_equal(closed["data"]["result"], "observed", "result")
    imc.check_same(before, imc.inventory())
    check_equal(imc.m.property("imc.service", "MainPID"), pid, "the process of the service")
    check(not imc.held_names(), "nothing below hold")
    check_equal(imc.m.property("imc.service", "DropInPaths"), "", "drop-ins")
    check(any(r.get("result") == "observed" for r in imc.audit("outcome")), "what it would have done is recorded")
    imc.check_verify()


def test_veto_of_a_cause(context):
    """The account was there while the service was healthy, and is gone: a configuration fault, not a message."""
    imc = Imc(context, "--die-at-start 9")
    imc.configure(extra='causes = ( { cause = "startup_account"; command = [ "/usr/bin/getent", "passwd", "imc" ]; '
                        'effect = "veto"; advice = "create the account imc"; } );')
    imc.switch("")
    imc.mail("In", 20)
    imc.boot()
    imc.m.run("useradd", "-r", "imc")
    imc.start()
    wait(lambda: not imc.left(), 20, "the mail")
    time.sleep(8)
    imc.m.run("systemctl", "stop", "imc.service")
    imc.m.run("userdel", "imc")
    imc.switch("--die-at-start 9")
    imc.mail("In", 30, tag="b")
    before = imc.inventory()
    imc.start(expect=False)
    closed = imc.closed()
    check_equal(closed["data"]["result"], "escalated", "result")
    check_equal(closed["data"]["trials"], 0, "trials")
    imc.check_same(before, imc.inventory())
    states = [r["to"] for r in imc.audit("state")]
    check("setting_aside" not in states and "purging" not in states, "nothing was touched: %r" % states)
    check(any(r["data"].get("cause") == "startup_account" for r in imc.audit("cause")), "the cause is in the record")


def test_stranger_holds_a_message(context):
    """An administrator's pager is waited for and named, and never killed."""
    imc = Imc(context)
    imc.configure(max_time="40s")
    imc.mail("In", 60, {20: "hang"})
    imc.boot()
    stranger = imc.m.spawn("sh", "-c", "exec sleep 300 <%s/In/i00050.msg" % SPOOL)
    try:
        imc.start()
        closed = imc.closed()
        check(stranger.poll() is None, "the stranger lives")
        if closed["data"]["result"] == "escalated":
            check("sleep" in str(imc.audit()), "the stranger is named")
            check("i00050.msg" in [os.path.basename(p) for p in imc.left()] + imc.held_names(), "its file is there")
        imc.check_ledger(closed)
    finally:
        stranger.kill()
        stranger.wait()
