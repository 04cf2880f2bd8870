"""imcd alone, under a real systemd: each failure switch looks to the manager as the articles say it looked."""

import os

from machine import check, check_equal, wait
from world import SPOOL, Imc


def _start(imc, expect, switches=""):
    imc.switch(switches)
    imc.m.run("systemctl", "reset-failed", "imc.service", check=False)
    r = imc.m.run("systemctl", "start", "imc.service", check=False)
    check_equal(r.returncode == 0, expect, "start with %r succeeds" % switches)


def _result(imc, state, result, status):
    wait(lambda: imc.m.property("imc.service", "ActiveState") == state, 20, "imc.service to be " + state)
    check_equal(imc.m.property("imc.service", "Result"), result, "Result")
    check_equal(imc.m.property("imc.service", "ExecMainStatus"), status, "ExecMainStatus")


def _clear(imc):
    imc.m.run("systemctl", "kill", "-s", "KILL", "imc.service", check=False)
    wait(lambda: imc.m.property("imc.service", "ActiveState") in ("failed", "inactive"), 20, "imc.service to end")
    for path in imc.left():
        os.unlink(imc.m.path("%s/%s" % (SPOOL, path)))


def test_imcd_fails_as_told(context):
    imc = Imc(context, unjamd=False, service="TimeoutStartSec=2\nTimeoutStopSec=2")
    imc.boot(unjamd=False)

    imc.mail("In", 20, tag="a")
    imc.mail("mta", 5, tag="b")
    _start(imc, True)
    wait(lambda: not imc.left(), 20, "delivery")
    check_equal(len(imc.delivered()), 25, "messages delivered")
    imc.m.run("systemctl", "stop", "imc.service")
    _result(imc, "inactive", "success", "0")

    imc.mail("In", 3, {2: "crash"}, tag="c")
    _start(imc, True)
    _result(imc, "failed", "signal", "11")
    check("4037" in imc.m.run("journalctl", "-u", "imc", "-o", "json", "EVENT_ID=4037").stdout, "4037 in the journal")
    check(imc.m.run("journalctl", "-u", "imc", "-o", "cat", "EVENT_ID=1067").stdout.strip(), "1067 in the journal")
    _clear(imc)

    imc.mail("In", 3, {2: "exit 43"}, tag="d")
    _start(imc, True)
    _result(imc, "failed", "exit-code", "43")
    _clear(imc)

    _start(imc, False, "--start-hang")
    _result(imc, "failed", "timeout", "15")
    _start(imc, False, "--die-at-start 9")
    _result(imc, "failed", "exit-code", "9")

    imc.m.write(SPOOL + "/queue.dat", "rubbish")
    _start(imc, False, "--exit-on-corrupt-queue-dat")
    _result(imc, "failed", "exit-code", "78")
    os.unlink(imc.m.path(SPOOL + "/queue.dat"))
    _start(imc, True, "--exit-on-corrupt-queue-dat")
    _clear(imc)

    _start(imc, True, "--ignore-term")
    imc.m.run("systemctl", "stop", "imc.service")
    _result(imc, "failed", "timeout", "9")

    imc.mail("In", 3, {2: "hang"}, tag="e")
    _start(imc, True, "--graceful-stop")
    wait(lambda: len(imc.left()) == 2, 20, "the message before it")
    check_equal(imc.m.property("imc.service", "ActiveState"), "active", "a hung service")
    held = imc.m.run("sh", "-c", "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c 'In/e00002.msg$'").stdout.strip()
    check_equal(held, "1", "processes that hold the message")
    imc.m.run("systemctl", "stop", "imc.service")
    _result(imc, "failed", "timeout", "9")
    _clear(imc)

    imc.mail("In", 3, {2: "abort"}, tag="f")
    _start(imc, True, "--handled-exceptions")
    wait(lambda: "handled internally" in imc.m.journal("-u", "imc", "EVENT_ID=4037"), 20, "4037")
    check_equal(imc.m.property("imc.service", "ActiveState"), "active", "a service that caught its exception")
    check_equal(len(imc.left()), 2, "messages left")
    _clear(imc)
