"""A message makes the service fail: it is found and kept, and all other mail is delivered."""

import json
import os
import re
import time

from machine import check, check_equal, wait
from world import MAILDIR, SPOOL, Imc, token_name


def _poisons(imc, names, directory="In"):
    """The inventory entries of the poisoned messages, as check_recovered() wants them."""
    before = imc.inventory()
    return {name: before["%s/%s" % (directory, name)] for name in names}


def _run(context, poison, switches="", n_in=300, n_out=200, trials=None, keys=None, **unit):
    """The common story: mail waits, the service is started, the poison does its work."""
    imc = Imc(context, switches, **unit)
    imc.configure(**(keys or {}))
    names = imc.mail("In", n_in, poison)
    imc.mail("Out", n_out)
    poisons = _poisons(imc, names)
    imc.boot()
    imc.start()
    closed = imc.check_recovered(poisons, trials=trials)
    print("outage_ms %(outage_ms)d duration_ms %(duration_ms)d trials %(trials)d crashes %(crashes)d" % closed["data"])
    pid = imc.m.property("unjamd.service", "MainPID")
    print("unjamd", imc.m.run("grep", "VmRSS", "/proc/%s/status" % pid).stdout.strip())
    return imc, closed


def test_crash_on_a_message(context):
    imc, _ = _run(context, {117: "crash"}, "--delay-ms 2")
    crashed = imc.audit("symptom")[0]
    check_equal(crashed["data"]["symptom"], "crashed", "the first symptom")


def test_exit_on_a_message(context):
    _run(context, {41: "exit 43"}, "--order random:5")


def test_hang_with_the_file_held(context):
    imc, closed = _run(context, {117: "hang"}, trials=2)
    check("held_open" in closed["data"]["culprits"][0]["evidence"], "the culprit's evidence is named")
    check_equal(imc.audit("symptom")[0]["data"]["symptom"], "stalled", "the symptom")


def test_hang_with_the_stop_button_dead(context):
    imc, _ = _run(context, {117: "hang"}, "--ignore-term", trials=2, service="TimeoutStopSec=90")
    check("killing" in [r["to"] for r in imc.audit("state")], "the kill ladder was used")


def test_hang_of_the_main_process(context):
    _run(context, {60: "hang"}, "--concurrency 0", trials=3, keys={"probe": "smtp", "stall": "30s"})


def test_hang_without_the_file(context):
    _run(context, {117: "hang"}, "--hang-without-file", n_in=120, n_out=80)


def test_spin_on_a_message(context):
    _run(context, {88: "spin"}, trials=3)


def test_hang_among_twenty_workers(context):
    _run(context, {150: "hang"}, "--concurrency 20 --order random:3 --delay-ms 20")


def test_caught_exception_ends_all_work(context):
    imc, _ = _run(context, {60: "abort"}, "--handled-exceptions", n_in=120, n_out=80)
    events = [r for r in imc.audit("symptom") if r["data"].get("claimed")]
    check(events, "the event 4037 was taken for a claim")


def test_several_culprits(context):
    _run(context, {20: "crash", 117: "exit 9", 230: "exit 7"}, "--order random:9")


def test_culprits_of_two_kinds(context):
    """One crashes the service at once, the other hangs it: each hides the other."""
    _run(context, {20: "crash", 230: "hang"}, "--order random:9")


def test_second_store(context):
    imc = Imc(context)
    imc.configure()
    imc.mail("In", 150)
    names = imc.mail("mta", 60, {31: "crash"})
    poisons = _poisons(imc, names, "mta")
    imc.boot()
    imc.start()
    imc.check_recovered(poisons, store="mta")


def test_pair_of_culprits(context):
    imc = Imc(context)
    imc.configure()
    names = imc.mail("In", 100, {30: "crash-if-also i00090.msg"})
    imc.boot()
    imc.start()
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    found = {c["id"] for c in closed["data"]["culprits"]}
    check(found and found <= set(names) | {"i00090.msg"}, "culprits: %r" % found)
    imc.check_ledger(closed)
    wait(lambda: not imc.left(), 30, "the rest of the mail")
    imc.check_delivery(closed, {t for t in imc.sent if token_name(t) in found})
    imc.check_verify()


def test_flaky_culprit(context):
    imc = Imc(context, "--delay-ms 1")
    imc.configure()
    names = imc.mail("In", 200, {77: "flaky 0.7"})
    imc.boot()
    imc.start()
    wait(lambda: imc.audit("incident.closed") or (not imc.left() and imc.state() == "healthy"), 240, "an end")
    for closed in imc.audit("incident.closed"):
        check_equal(closed["data"]["result"], "recovered", "result")
        check({c["id"] for c in closed["data"]["culprits"]} <= set(names), "only the flaky one is blamed")
        imc.check_ledger(closed)
    wait(lambda: not imc.left(), 30, "the rest of the mail")
    found = imc.delivered()
    check(set(imc.sent) - set(found) <= {"77.i"}, "only the flaky one may be missing")
    check(("77.i" in found) != bool(imc.quarantined()), "the flaky one is delivered or in quarantine")
    imc.check_verify()


def test_mail_arrives_meanwhile(context):
    imc = Imc(context, "--delay-ms 3")
    imc.configure()
    names = imc.mail("In", 150, {75: "crash"})
    poisons = _poisons(imc, names)
    imc.boot()
    imc.start()
    for i in range(40):
        # In front of unjamd's eyes, into whatever directory bears the name just now.
        imc.mail("Out", 10, tag="late%d" % i)
        time.sleep(0.3)
        if imc.audit("incident.closed"):
            break
    ledger = imc.check_recovered(poisons)["data"]["ledger"]
    check(ledger["before"] + ledger["arrived"] <= len(imc.sent), "the ledger has mail that was never sent: %s" % ledger)


def test_restart_always(context):
    imc, _ = _run(context, {117: "crash"}, service="Restart=always\nRestartSec=300ms")
    check_equal(imc.m.property("imc.service", "Restart"), "always", "Restart= after the recovery")


def test_restart_always_into_the_start_limit(context):
    _run(context, {3: "crash"}, n_in=80, n_out=20,
         unit="StartLimitIntervalSec=60\nStartLimitBurst=4\n", service="Restart=always\nRestartSec=50ms")


def test_workers_outlive_the_stop(context):
    """KillMode=process, and a worker that neither the stop nor the death of its parent ends."""
    _run(context, {50: "hang"}, "--orphan-workers --graceful-stop", n_in=120, n_out=30, trials=3,
         service="KillMode=process\nTimeoutStopSec=2")


def test_socket_activated(context):
    imc = Imc(context, listen="")
    imc.m.write("/etc/systemd/system/imc.socket",
                "[Socket]\nListenStream=127.0.0.1:2525\n[Install]\nWantedBy=sockets.target\n")
    imc.configure()
    names = imc.mail("In", 150, {75: "hang"})
    poisons = _poisons(imc, names)
    imc.boot()
    imc.m.run("systemctl", "start", "imc.socket")
    # A client that knocks all the time would start the service under the hands of the recovery.
    knock = imc.m.spawn("bash", "-c", "for i in $(seq 1 600); do (exec 3<>/dev/tcp/127.0.0.1/2525) 2>/dev/null; "
                                    "sleep 0.1; done")
    try:
        imc.start()
        imc.check_recovered(poisons)
    finally:
        knock.kill()
        knock.wait()
    check_equal(imc.m.property("imc.socket", "ActiveState"), "active", "imc.socket")


def test_hostile_names(context):
    imc = Imc(context, "--order time")
    imc.configure()
    imc.mail("In", 40, {9: "hang"}, hostile=True, tag="h")
    before = imc.inventory()
    [path] = [p for p in before if p.endswith("h00009")]
    imc.boot()
    imc.start()
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    [culprit] = closed["data"]["culprits"]
    file = culprit["files"][0]
    check_equal(file["sha256"], before[path][0], "the digest of the culprit")
    check("\n" not in file["path"], "the path is encoded")
    wait(lambda: not imc.left(), 30, "the rest of the mail")
    check_equal(len(imc.delivered()), 39, "messages delivered")
    [entry] = imc.quarantined()
    imc.ctl("quarantine", "show", entry["id"])
    check_reports(imc, closed)
    imc.check_ledger(closed)
    imc.check_verify()


def check_reports(imc, closed):
    """Its figures; and the incident as text, JSON and HTML from the files alone, whatever its messages are called."""
    metrics = imc.m.run("unjamctl", "metrics").stdout
    check('\nunjam_incidents_total{service="imc",result="recovered"} 1\n' in metrics, "metrics: " + metrics)
    check('\nunjam_mail_quarantined{service="imc"} 1\n' in metrics and metrics.endswith("\n# EOF\n"), metrics)
    check(float(re.search(r"^unjam_resident_memory_bytes (\d+)$", metrics, re.M).group(1)) > 1e6, metrics)
    imc.m.run("systemctl", "stop", "unjamd.service")
    check_equal(imc.m.run("unjamctl", "metrics", check=False).returncode, 3, "metrics without a daemon")
    text = imc.m.run("unjamctl", "report", "last").stdout
    check("\033" not in text and closed["incident"] in text.split("\n")[-2], "the report ends with commands: " + text)
    account = json.loads(imc.ctl("report", closed["incident"]).stdout)
    check_equal(account["culprits"][0]["now"]["place"], "quarantine", "where the culprit is")
    check_equal(account["states"][-1]["state"], "healthy", "the last state")
    check_equal(len(account["trial_list"]), closed["data"]["trials"], "trials")
    check("disk_full" in account["ruled_out"], "causes ruled out: %r" % account["ruled_out"])
    imc.m.run("unjamctl", "report", "last", "--html", "/root/incident.html")
    html = imc.m.read("/root/incident.html")
    check(html.startswith("<!DOCTYPE html>") and html.endswith("</html>\n"), "a whole page")
    check(account["culprits"][0]["files"][0]["sha256"] in html, "the digest is in it")
    check_equal(re.findall("<script|http:|https:|\033", html), [], "the page is inert")
    imc.m.run("ln", "-s", "/etc/passwd", "/root/link.html")
    check_equal(imc.m.run("unjamctl", "report", "last", "--html", "/root/link.html", check=False).returncode, 1,
                "a symbolic link is refused")
    imc.m.run("systemctl", "start", "unjamd.service")
    wait(lambda: imc.state() == "healthy", 60, "unjamd to be back")


def test_fifo_in_the_store(context):
    """The service blocks while it opens a FIFO, and holds nothing."""
    imc = Imc(context)
    imc.configure()
    imc.mail("In", 60)
    os.mkfifo(imc.m.path(SPOOL + "/In/i00030.fifo"), 0o640)
    imc.boot()
    imc.start()
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal([c["id"] for c in closed["data"]["culprits"]], ["i00030.fifo"], "culprits")
    check_equal(closed["data"]["culprits"][0]["files"][0]["type"], "fifo", "type")
    wait(lambda: len(imc.delivered()) == 60, 30, "the mail")
    imc.check_ledger(closed)
    imc.check_verify()


def test_release_after_repair(context):
    """An operator gives back what was kept, once the service can stand it; nothing else ever deletes or frees it."""
    imc, _ = _run(context, {50: "hang"}, n_in=100, n_out=20)
    [entry] = imc.quarantined()
    imc.switch("--poison-prefix never")
    imc.m.run("systemctl", "restart", "imc.service")
    imc.ctl("quarantine", "release", entry["id"])
    wait(lambda: imc.delivered()["50.i"] == 1, 30, "the released message to be delivered")
    check_equal(imc.quarantined(), [], "quarantine")
    check(imc.audit("message.released"), "message.released in the record")
    check(imc.audit("operator"), "operator in the record")
    check_equal(len(imc.delivered()), 120, "messages delivered")
    check(os.path.isdir(imc.m.path(MAILDIR + "/new")), "Maildir")
    imc.check_verify()
