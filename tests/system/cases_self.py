"""unjamd watched and confined: what systemd does about it, and what it may do."""

import re
import time

from cases_trouble import _story, _under_way
from machine import check, check_equal, wait
from world import Imc

EXPOSURE_MAX = 3.5


def test_hang_of_unjamd_in_the_middle(context):
    """A daemon that hangs is killed by systemd's watchdog, started again, and goes on with its incident."""
    imc, poisons = _story(context, {77: "crash", 150: "exit 7"})
    _under_way(imc)
    imc.m.run("systemctl", "kill", "-s", "STOP", "--kill-whom=main", "unjamd.service")
    pid = imc.m.property("unjamd.service", "MainPID")
    seen = len(imc.audit())
    wait(lambda: imc.m.property("unjamd.service", "NRestarts") == "1", 90, "the watchdog to act")
    wait(lambda: imc.state() is not None, 60, "unjamd to answer")
    check(imc.m.property("unjamd.service", "MainPID") != pid, "it is another process")
    check("watchdog" in imc.m.journal("-u", "unjamd").lower(), "systemd says that it was the watchdog")
    closed = imc.check_recovered(poisons)
    check(len(imc.audit()) > seen, "the record goes on")
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")
    check_equal(closed["data"]["result"], "recovered", "result")


def _limits(imc, pid):
    text = imc.m.run("cat", "/proc/%s/limits" % pid).stdout
    return {name.strip(): (soft, hard) for name, soft, hard in
            re.findall(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", text, re.M)}


def test_last_to_go(context):
    """Out of memory, others go first; its limits are those of the unit, and nobody inside can raise them."""
    imc = Imc(context)
    imc.configure()
    imc.boot()
    pid = imc.m.property("unjamd.service", "MainPID")
    check_equal(imc.m.property("unjamd.service", "OOMScoreAdjust"), "-900", "OOMScoreAdjust=")
    score = imc.m.run("cat", "/proc/%s/oom_score_adj" % pid).stdout.strip()
    check(score in ("0", "-900"), "oom_score_adj is " + score)  # 0: a container's systemd may not lower it
    cgroup = imc.m.property("unjamd.service", "ControlGroup")
    protected = imc.m.run("cat", "/sys/fs/cgroup%s/memory.min" % cgroup, check=False).stdout.strip()
    check(protected in ("", str(16 << 20)), "memory.min is " + protected)  # "": no memory controller in this container
    check_equal(imc.m.property("unjamd.service", "MemoryMin"), str(16 << 20), "MemoryMin=")
    limits = _limits(imc, pid)
    check_equal(imc.m.property("unjamd.service", "LimitNOFILE"), "65536", "LimitNOFILE=")  # a container may allow less
    check_equal(*limits["Max open files"], "soft and hard limit of open files")
    check_equal(limits["Max core file size"], ("0", "0"), "core file: its memory holds what messages are called")
    bounding = int(re.search(r"^CapBnd:\s*(\S+)", imc.m.run("cat", "/proc/%s/status" % pid).stdout, re.M).group(1), 16)
    check(not bounding >> 24 & 1, "CAP_SYS_RESOURCE, with which limits are raised")


def test_exposure(context):
    """The score of the unit as it is installed, by the systemd that runs it."""
    imc = Imc(context)
    imc.configure()
    imc.boot()
    out = imc.m.run("systemd-analyze", "security", "--no-pager", "unjamd.service", check=False).stdout
    score = re.search(r"Overall exposure level for unjamd\.service: ([0-9.]+)", out)
    check(score, "a score in: " + out[-300:])
    check(float(score.group(1)) <= EXPOSURE_MAX, "exposure " + score.group(1))
    # Each capability that is kept has its reason in the unit file.
    unit = imc.m.read("/lib/systemd/system/unjamd.service")
    explained = set(re.findall(r"^#\s+(CAP_\w+)\s", unit, re.M))
    kept = set(" ".join(re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.M)).split())
    check(kept, "CapabilityBoundingSet=")
    check_equal(sorted(kept), sorted(explained), "capabilities kept, and explained")
