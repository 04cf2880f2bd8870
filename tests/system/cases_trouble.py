"""unjamd itself is in trouble: killed, rebooted, out of room, wrongly configured. Nothing is lost, and it goes on."""

import os
import re
import time

from cases_messages import _poisons
from machine import check, check_equal, wait
from world import SPOOL, Imc


def _under_way(imc, states=("setting_aside", "purging", "baseline", "isolating", "quarantining", "restoring")):
    wait(lambda: imc.state() in states, 90, "the recovery to be under way")


def _story(context, poison, switches="--order random:5", **keys):
    imc = Imc(context, switches)
    imc.configure(**keys)
    names = imc.mail("In", 200, poison)
    imc.mail("Out", 100)
    poisons = _poisons(imc, names)
    imc.boot()
    imc.m.run("systemctl", "enable", "imc.service")
    imc.start()
    return imc, poisons


def test_reboot_in_the_middle(context):
    """The mail server does not start before unjamd has taken up its incident."""
    imc, poisons = _story(context, {77: "crash", 150: "exit 7"})
    _under_way(imc)
    imc.m.reboot()
    wait(lambda: imc.state() is not None, 60, "unjamd to answer")
    closed = imc.check_recovered(poisons)
    boots = {r["boot"] for r in imc.audit(incident=closed["incident"])}
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")
    check(len(boots) >= 1, "boots")


def test_power_cut_in_the_middle(context):
    imc, poisons = _story(context, {77: "crash", 150: "exit 7"})
    _under_way(imc)
    imc.m.power_cut()
    imc.m.boot()
    wait(lambda: imc.state() is not None, 60, "unjamd to answer")
    imc.check_recovered(poisons)
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")


def test_kill_of_unjamd_in_the_middle(context):
    """SIGKILL at many moments of one recovery, each time as soon as it has moved on."""
    imc, poisons = _story(context, {77: "crash", 150: "exit 7"})
    _under_way(imc, ("stopping", "killing", "restarting", "setting_aside", "purging", "baseline", "isolating"))
    kills = 0
    seen = len(imc.audit())
    while kills < 8 and not imc.audit("incident.closed"):
        wait(lambda: len(imc.audit()) > seen + 2 or imc.audit("incident.closed"), 60, "progress")
        imc.m.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "unjamd.service", check=False)
        imc.m.run("systemctl", "reset-failed", "unjamd.service", check=False)
        imc.m.run("systemctl", "start", "unjamd.service")
        seen = len(imc.audit())
        kills += 1
    check(kills > 2, "it was killed %d times" % kills)
    imc.check_recovered(poisons)
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")


def test_record_has_no_room(context):
    """Nothing is done while nothing can be written down; once there is room again, it is."""
    imc = Imc(context)
    imc.configure()
    imc.m.write("/etc/systemd/system/var-log-unjamd.mount",
                "[Unit]\nBefore=unjamd.service\n[Mount]\nWhat=tmpfs\nWhere=/var/log/unjamd\nType=tmpfs\n"
                "Options=size=4m,mode=0750\n[Install]\nRequiredBy=unjamd.service\n")
    names = imc.mail("In", 80, {40: "crash"})
    poisons = _poisons(imc, names)
    imc.m.boot()
    imc.m.run("systemctl", "enable", "--now", "var-log-unjamd.mount")
    imc.m.run("systemctl", "enable", "--now", "unjamd.service")
    wait(lambda: imc.state() is not None, 20, "unjamd to answer")
    imc.m.run("sh", "-c", "cat /dev/zero >/var/log/unjamd/filler 2>/dev/null; true")
    before = imc.inventory()
    imc.start()
    time.sleep(15)
    check_equal(imc.m.property("unjamd.service", "ActiveState"), "active", "unjamd")
    left = imc.inventory()
    imc.check_same({p: before[p] for p in left}, left)
    check(not imc.held_names(), "nothing was moved")
    imc.m.run("rm", "/var/log/unjamd/filler")
    audit = imc.audit
    # The trail lies on the machine's own mount: the host does not see it.
    imc.audit = lambda *a, **k: audit_inside(imc, *a, **k)
    check(audit is not imc.audit, "audit")
    imc.check_recovered(poisons)


def audit_inside(imc, event=None, **members):
    import json
    out = imc.m.run("cat", "/var/log/unjamd/audit.jsonl", check=False).stdout
    records = [json.loads(line) for line in out.split("\n")[:-1]]
    return [r for r in records if (event is None or r["event"] == event)
            and all(r.get(k) == v for k, v in members.items())]


def test_full_disk_below_the_spool(context):
    """The file system of the spool is full: set aside and put back are renames, and need no room."""
    imc = Imc(context)
    imc.configure()
    os.makedirs(imc.m.path(SPOOL), exist_ok=True)
    imc.boot()
    imc.m.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", SPOOL)
    imc.m.run("mkdir", *["%s/%s" % (SPOOL, d) for d in ("In", "Out", "mta")])
    imc.m.run("systemctl", "restart", "unjamd.service", check=False)
    imc.m.run("sh", "-c", "for i in $(seq 1 40); do printf 'Message-ID: <%%d.x@test.invalid>\\n\\n' $i "
                          ">%s/In/x$(printf %%05d $i).msg; done" % SPOOL)
    imc.m.run("sh", "-c", "printf 'Message-ID: <99.x@test.invalid>\\n\\nX-Poison: hang\\n' >%s/In/x00020a.msg" % SPOOL)
    imc.m.run("sh", "-c", "cat /dev/zero >%s/filler 2>/dev/null; true" % SPOOL)
    imc.start()
    closed = imc.closed()
    check(closed["data"]["result"] in ("recovered", "escalated"), "result")
    imc.check_ledger(closed)
    names = imc.m.run("sh", "-c", "find %s -name 'x*.msg'" % SPOOL).stdout.split()
    delivered = sum(imc.delivered().values())
    check(len(names) + delivered >= 41, "%d files and %d delivered" % (len(names), delivered))
    imc.check_verify()


def _refused(imc, *patterns):
    r = imc.m.run("unjamd", "--check-config", check=False)
    check_equal(r.returncode, 1, "--check-config: " + r.stdout + r.stderr)
    for pattern in patterns:
        check(re.search(pattern, r.stdout + r.stderr), "%r in %r" % (pattern, r.stdout + r.stderr))
    r = imc.m.run("systemctl", "start", "unjamd.service", check=False)
    check(r.returncode != 0, "unjamd starts with a wrong configuration")


def test_hold_on_another_mount(context):
    imc = Imc(context)
    imc.configure(hold="/mnt/hold")
    imc.mail("In", 10)
    before = imc.inventory()
    os.makedirs(imc.m.path("/mnt/hold"))
    imc.boot(unjamd=False)
    imc.m.run("mount", "-t", "tmpfs", "tmpfs", "/mnt/hold")
    _refused(imc, r"unjamd\.conf:\d+: .*hold")
    imc.check_same(before, imc.inventory())


def test_configuration_with_many_faults(context):
    imc = Imc(context)
    imc.configure(extra='stal = "1s"; start_timeout = 5; manager = "sistemd"; unit = "nosuch.service";')
    imc.boot(unjamd=False)
    _refused(imc, r"unjamd\.conf:\d+: ")
    imc.configure(extra='stal = "1s"; restarts = "many";')
    _refused(imc, r"stal\b", r"restarts")


def test_reload_with_a_fault_keeps_the_old(context):
    imc = Imc(context)
    imc.configure()
    imc.boot()
    imc.start()
    good = imc.m.read("/etc/unjamd/unjamd.conf")
    imc.m.write("/etc/unjamd/unjamd.conf", good.replace("settle", "setle"), 0o600)
    check(imc.ctl("reload", check=False).returncode != 0, "the reload is refused")
    check(imc.audit("config.rejected"), "config.rejected in the record")
    imc.m.write("/etc/unjamd/unjamd.conf", good, 0o600)
    imc.ctl("reload")
    check_equal(imc.state(), "healthy", "state")


def test_pause_and_resume(context):
    imc = Imc(context)
    imc.configure()
    imc.boot()
    imc.start()
    imc.ctl("pause", "imc", "--for", "1h", "--reason", "an upgrade")
    wait(lambda: imc.state() == "paused", 10, "paused")
    names = imc.mail("In", 60, {30: "hang"})
    poisons = _poisons(imc, names)
    time.sleep(10)
    check_equal([r for r in imc.audit("intent")], [], "acts while paused")
    imc.ctl("resume", "imc")
    imc.check_recovered(poisons)
    check("an upgrade" in str(imc.audit("operator")), "the reason is in the record")


def test_sandbox_is_on(context):
    """What the other tests show, they show inside of the shipped unit's sandbox."""
    imc = Imc(context)
    imc.configure()
    imc.boot()
    for name, wanted in (("ProtectSystem", ("strict", "full")), ("NoNewPrivileges", ("yes",)),
                         ("ProtectHome", ("yes", "read-only", "tmpfs"))):
        check(imc.m.property("unjamd.service", name) in wanted, "%s=%s" % (name, imc.m.property("unjamd.service", name)))
    check_equal(imc.m.property("unjamd.service", "Type"), "notify", "Type")
