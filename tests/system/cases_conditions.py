"""Conditions of the host that explain a fault: the mail is left alone, and the recovery goes on when they have ended."""

import json
import time

from machine import Skip, check, check_equal, wait
from world import SPOOL, Imc


def _up(context, **keys):
    imc = Imc(context)
    imc.configure(**keys)
    imc.boot()
    return imc


def _healthy(imc):
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    time.sleep(3)  # it has settled, and the host was looked at


def _crash(imc):
    imc.m.run("systemctl", "kill", "-s", "SEGV", "--kill-whom=main", "imc.service")


def _explain(imc):
    return json.loads(imc.ctl("explain", "imc").stdout)


def _waits(imc, reason):
    """It is at fault, nothing is done, and everybody is told why."""
    wait(lambda: _explain(imc)["reason"] == reason, 20, "the reason %s: %s" % (reason, _explain(imc)["reason"]))
    time.sleep(8)
    check_equal(imc.state(), "suspect", "state")
    check_equal(_explain(imc)["reason"], reason, "reason")
    check_equal(imc.audit("incident.opened") + imc.audit("intent"), [], "incidents and acts")
    causes = [r["data"] for r in imc.audit("cause")]
    check_equal([(c["cause"], c["effect"]) for c in causes], [(reason, "veto")], "causes")
    check_equal([r["data"]["kind"] for r in imc.audit("alert")], ["waiting"], "alerts")
    check(causes[0]["detail"] in imc.m.journal("-u", "unjamd"), "the alert in the journal")


def _goes_on(imc):
    closed = imc.closed(60)
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal(imc.m.property("imc.service", "ActiveState"), "active", "imc.service")
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")
    imc.check_verify()


LOCK = ("import fcntl,time\nf=open('/var/lib/dpkg/lock-frontend','a')\nfcntl.lockf(f,fcntl.LOCK_EX)\n"
        "open('/run/locked','w')\ntime.sleep(1000)")


def _package_manager(imc):
    imc.m.run("systemd-run", "--unit=apt-like", "python3", "-c", LOCK)
    imc.m.run("sh", "-c", "while ! test -e /run/locked; do sleep 0.1; done")


def test_condition_package_manager(context):
    imc = _up(context)
    _healthy(imc)
    _package_manager(imc)
    imc.mail("In", 20)
    _crash(imc)
    _waits(imc, "maintenance")
    imc.m.run("systemctl", "stop", "apt-like.service")
    _goes_on(imc)


def test_condition_was_there_before(context):
    """A package manager that has been at work while all was well is no excuse for the crash."""
    imc = _up(context)
    _package_manager(imc)
    _healthy(imc)
    _crash(imc)
    _goes_on(imc)


def test_condition_edit_of_the_unit(context):
    imc = _up(context)
    _healthy(imc)
    imc.m.write("/etc/systemd/system/imc.service.d/.#override.confabcdef", "[Service]\n")
    _crash(imc)
    _waits(imc, "maintenance")
    imc.m.run("rm", "/etc/systemd/system/imc.service.d/.#override.confabcdef")
    _goes_on(imc)


def test_condition_dependency_down(context):
    imc = Imc(context)
    imc.configure(extra='depends_on = [ "db.service" ];')
    imc.m.write("/etc/systemd/system/db.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    imc.boot()
    imc.m.run("systemctl", "start", "db.service")
    _healthy(imc)
    imc.m.run("systemctl", "stop", "db.service")
    _crash(imc)
    _waits(imc, "dependency_down")
    imc.m.run("systemctl", "start", "db.service")
    _goes_on(imc)


def test_condition_disk_full(context):
    imc = Imc(context)
    imc.configure()
    imc.boot()
    imc.m.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", SPOOL)
    imc.m.run("mkdir", *["%s/%s" % (SPOOL, d) for d in ("In", "Out", "mta")])
    imc.m.run("systemctl", "restart", "unjamd.service")
    _healthy(imc)
    imc.m.run("sh", "-c", "cat /dev/zero >%s/filler 2>/dev/null; true" % SPOOL)
    _crash(imc)
    _waits(imc, "disk_full")
    imc.m.run("rm", SPOOL + "/filler")
    _goes_on(imc)


def test_condition_out_of_memory(context):
    """The kernel kills it for want of memory: that is on record, and a restart is tried all the same."""
    imc = Imc(context, service="MemoryMax=64M\nMemorySwapMax=0\nOOMPolicy=stop")
    imc.configure()
    imc.boot()
    _healthy(imc)
    if imc.m.run("test", "-e", "/sys/fs/cgroup/system.slice/imc.service/memory.max", check=False).returncode != 0:
        raise Skip("no memory controller in this host's unified hierarchy")
    pid = imc.m.property("imc.service", "MainPID")
    # Another process in its control group eats all of its memory.
    imc.m.spawn("sh", "-c", "echo $$ >/sys/fs/cgroup/system.slice/imc.service/cgroup.procs; "
                            "exec python3 -c 'x=bytearray(200<<20)'")
    wait(lambda: imc.m.property("imc.service", "MainPID") != pid or imc.audit("symptom"), 30, "the OOM killer")
    closed = imc.closed(60)
    check_equal(closed["data"]["result"], "recovered", "result")
    check("oom-kill" in imc.audit("symptom")[0]["data"]["detail"], imc.audit("symptom")[0]["data"]["detail"])
    check_equal([(r["data"]["cause"], r["data"]["effect"]) for r in imc.audit("cause")], [("out_of_memory", "note")],
                "causes")
