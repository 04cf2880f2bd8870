"""Silence and its reasons: what is hung is told from what waits for a host, a disk, or an operator."""

import json
import os
import time

from cases_messages import _poisons
from cases_postfix import HOME, Postfix
from machine import check, check_equal, wait
from world import SPOOL, Imc


def _imc(context, poison=(), count=400, switches="--concurrency 4 --delay-ms 100 --order name", **keys):
    imc = Imc(context, switches)
    imc.configure(**keys)
    names = imc.mail("In", count, dict(poison))
    poisons = _poisons(imc, names)
    imc.boot()
    return imc, names, poisons


def _workers(imc):
    """{pid inside the machine: path of the message that it holds} of the workers that hold one."""
    out = imc.m.run("sh", "-c", "for p in $(cat /sys/fs/cgroup/system.slice/imc.service/cgroup.procs); do "
                    "for f in /proc/$p/fd/*; do echo $p $(readlink $f); done; done").stdout
    return {int(line.split()[0]): line.split()[1] for line in out.splitlines()
            if len(line.split()) == 2 and line.split()[1].startswith(SPOOL + "/In/")}


def _stalled(imc, verdict):
    """The record says which test decided, and with what figures."""
    [symptom] = [r["data"] for r in imc.audit("symptom") if r["data"].get("verdict") == verdict][:1]
    check_equal(symptom["symptom"], "stalled", "symptom")
    check(verdict + ": pid" in symptom["detail"], "detail: " + symptom["detail"])
    return symptom


def _one_hung(context, what, verdict):
    """One worker hangs with its message while three others go on: seen by the process alone, and only it is blamed."""
    imc, _, poisons = _imc(context, {10: what})
    imc.start()
    wait(lambda: imc.audit("incident.opened"), 60, "the hang to be seen")
    check(imc.left(), "other mail is still on its way")
    closed = imc.check_recovered(poisons)
    symptom = _stalled(imc, verdict)
    check_equal(symptom["signature"], "imc.service/stalled/process", "signature")
    check_equal(closed["data"]["trials"], 2, "trials: the plain restart, and the one without it")
    hung = [p for r in imc.audit("evidence") for p in r["data"]["processes"] if p["verdict"] == verdict]
    check(hung and all(list(poisons)[0] in f["path"] for p in hung for f in p["files"] if SPOOL in f["path"]),
          "the evidence names the hung process and its message")


def test_one_worker_deadlocks_while_others_work(context):
    _one_hung(context, "deadlock", "deadlock")


def test_one_worker_spins_while_others_work(context):
    _one_hung(context, "spin", "spin")


def test_one_worker_is_stopped_while_others_work(context):
    """By a signal from outside: the restart cures it, and no message is blamed."""
    imc, _, _ = _imc(context)
    imc.start()
    wait(lambda: len(imc.delivered()) > 5, 20, "mail to move")
    pid = list(wait(lambda: _workers(imc), 10, "a worker that holds a message"))[0]
    imc.m.run("kill", "-STOP", str(pid))
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal(closed["data"]["culprits"], [], "culprits")
    _stalled(imc, "stopped")
    wait(lambda: not imc.left(), 60, "the mail to be delivered")
    imc.check_delivery(closed, set())
    imc.check_verify()


def test_main_process_is_stopped(context):
    """Its listener's backlog still takes connections: only the mail tells."""
    imc, _, _ = _imc(context, count=20, switches="--concurrency 2 --order name")
    imc.start()
    wait(lambda: not imc.left(), 20, "the first mail")
    imc.m.run("kill", "-STOP", imc.m.property("imc.service", "MainPID"))
    imc.mail("In", 20, tag="z")
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal(closed["data"]["culprits"], [], "culprits")
    _stalled(imc, "stopped")
    wait(lambda: not imc.left(), 60, "the mail to be delivered")
    imc.check_verify()


def test_a_process_above_a_limit_is_restarted(context):
    """One that leaks descriptors and holds no message, and nothing waits: only its limit tells."""
    imc, _, _ = _imc(context, count=10, switches="--concurrency 2 --order name",
                     extra='limits = { descriptors = 100; for = "3s"; };')
    imc.start()
    wait(lambda: not imc.left(), 20, "the mail")
    imc.m.write("/root/leak.py", "import os, time\nwith open('/sys/fs/cgroup/system.slice/imc.service/cgroup.procs', 'w') as f:\n"
                "    f.write(str(os.getpid()))\nkept = [open('/dev/null') for _ in range(200)]\ntime.sleep(3600)\n")
    imc.m.run("systemd-run", "--unit=leaker", "python3", "/root/leak.py")
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    [symptom] = [r["data"] for r in imc.audit("symptom")][:1]
    check_equal((symptom["symptom"], symptom["rule"], symptom["claimed"]), ("event", "limits.descriptors", False), "symptom")
    check("limit 100" in symptom["detail"], "detail: " + symptom["detail"])
    imc.check_verify()


def test_children_die_while_the_parent_lives(context):
    """Workers are killed by a signal, and replaced: each is told, with its message, and a loop of them is a fault."""
    imc, _, poisons = _imc(context, {5: "crash"}, count=40,
                           switches="--concurrency 2 --delay-ms 100 --order name --respawn-workers")
    imc.start()
    closed = imc.check_recovered(poisons)
    symptoms = [r["data"] for r in imc.audit("symptom")]
    # The worker's own log line may be read before its end is.
    died = [s for s in symptoms if "while the service goes on" in s["detail"]]
    check(died, "a child's death is told: %s" % [s["detail"] for s in symptoms])
    check_equal(died[0]["symptom"], "crashed", "the symptom")
    check(list(poisons)[0] in died[0]["detail"], "the message that it had open: " + died[0]["detail"])
    check_equal(imc.m.property("imc.service", "NRestarts"), "0", "restarts by the manager")
    # The restart, the suspects' one, and at most four for the up to four messages that two deaths caught in two workers.
    check(closed["data"]["trials"] <= 6, "%d trials" % closed["data"]["trials"])


def _untouched(context, what, reason, verdict, prepare=lambda imc: None, end=lambda imc: None, poison=10):
    """Nothing moves for many times the limit, with a reason that is no hang: told, and nothing is done."""
    imc, _, _ = _imc(context, {n: what for n in range(1, poison)} if what else {}, count=40,
                     switches="--concurrency 4 --order name")
    prepare(imc)
    imc.start()
    end(imc)
    wait(lambda: imc.audit("symptom"), 60, "the stall to be seen")
    before = imc.inventory()
    pid = imc.m.property("imc.service", "MainPID")
    time.sleep(15)
    check_equal(imc.audit("incident.opened"), [], "incidents")
    _stalled(imc, verdict)
    explained = json.loads(imc.ctl("explain", "imc").stdout)
    check_equal((explained["state"], explained["reason"]), ("suspect", reason), "unjamctl explain")
    imc.check_same(before, imc.inventory())
    check(len(before) > 0, "mail waits")
    check_equal(imc.m.property("imc.service", "MainPID"), pid, "the process of the service")
    check(not imc.held_names(), "nothing below hold")
    imc.check_verify()
    return imc


def test_waits_for_another_host(context):
    """All four workers hold a message and wait for a host that takes the connection and says nothing."""
    def network(imc):
        # An end of its own for the other host: a second network namespace, reached over a veth.
        imc.m.run("sh", "-ec", "ip netns add far; ip link add near type veth peer name far netns far; "
                  "ip addr add 192.0.2.1/24 dev near; ip link set near up; "
                  "ip -n far addr add 192.0.2.7/24 dev far; ip -n far link set far up; ip -n far link set lo up")
        imc.m.write("/root/sink.py", "import socket, time\ns = socket.create_server(('192.0.2.7', 25))\n"
                    "kept = []\nwhile True:\n    kept.append(s.accept())\n")
        imc.m.run("systemd-run", "--unit=sink", "ip", "netns", "exec", "far", "python3", "/root/sink.py")
        wait(lambda: ":25 " in imc.m.run("ip", "netns", "exec", "far", "ss", "-ltn").stdout, 20, "the sink")

    imc = _untouched(context, "dial 192.0.2.7 25", "waits_network", "network", network)
    check("192.0.2.7:25" in _stalled(imc, "network")["detail"], "the host is named")
    # The other host hangs up: the mail goes out, and all is well.
    imc.m.run("systemctl", "stop", "sink")
    wait(lambda: imc.state() == "healthy", 60, "healthy")
    check_equal(imc.audit("incident.opened"), [], "incidents")


def test_waits_for_a_disk(context):
    _untouched(context, "disk", "waits_disk", "disk")


def test_frozen_control_group(context):
    def freeze(imc):
        wait(lambda: len(imc.delivered()) > 2, 20, "mail to move")
        imc.m.run("systemctl", "freeze", "imc.service")

    imc = _untouched(context, "slow 100", "frozen", "frozen", end=freeze, poison=40)
    imc.m.run("systemctl", "thaw", "imc.service")
    wait(lambda: not imc.left(), 60, "the mail")
    check_equal(imc.audit("incident.opened"), [], "incidents")


def test_postfix_one_pipe_hangs_while_others_deliver(context):
    """The command of one pipe(8) never ends; three others go on with the queue, which never stands still."""
    postfix = Postfix(context)
    m = postfix.m
    m.write("/etc/postfix/master.cf", m.read("/etc/postfix/master.cf").replace("-       1       pipe", "-       4       pipe"))
    m.write("/etc/postfix/main.cf", m.read("/etc/postfix/main.cf").replace("concurrency_limit = 1", "concurrency_limit = 4"))
    waiting = postfix.begin(1000, {20: "hang"})
    [poison] = [i for i, token in waiting.items() if token == "t20"]
    m.run("systemctl", "enable", "--now", "unjamd.service")
    os.unlink(m.path(HOME + "/gate"))
    wait(lambda: postfix.audit("incident.opened"), 120, "the hang to be seen")
    check(len(postfix.waiting()) > 10, "the queue was still on its way")
    symptom = _stalled(postfix, "deadlock")
    check_equal(symptom["signature"], "postfix@-.service/stalled/process", "signature")
    closed = postfix.closed(300)
    data = closed["data"]
    check_equal(data["result"], "recovered", "result")
    check_equal([c["id"] for c in data["culprits"]], [poison], "culprits")
    check_equal(data["trials"], 2, "trials: the plain restart, and the one without it")
    postfix.check_ledger(closed)
    wait(lambda: not postfix.waiting(), 120, "the queue to run empty")
    check_equal(sorted(set(waiting) - set(postfix.delivered())), [poison], "what was not delivered")
    postfix.check_verify()
