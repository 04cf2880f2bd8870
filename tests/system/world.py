"""What a test works with: machines with imcd and unjamd on them, mail, and what became of it."""

import collections
import datetime
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess

from machine import Failure, Machine, Skip, check, check_equal, wait

SPOOL = "/var/spool/imc"
MAILDIR = "/var/mail/imc"
AUDIT = "/var/log/unjamd/audit.jsonl"
DIRECTORIES = ("In", "Out", "mta")

IMC_UNIT = """\
[Unit]
Description=Internet mail connector
%(unit)s
[Service]
Type=notify
EnvironmentFile=-/etc/imcd.env
ExecStart=/usr/local/bin/imcd --root /var/spool/imc --maildir /var/mail/imc --scan-ms 50 $LISTEN $SWITCHES
LimitCORE=0
%(service)s
[Install]
WantedBy=multi-user.target
"""

EVENTS = 'events = ( { name = "imc-4037"; source = "journal"; field = "EVENT_ID"; equals = "4037"; symptom = "crashed"; } );'

CONFIG = """\
mode = "%(mode)s";
services = (
  { name = "imc"; manager = "systemd"; unit = "imc.service";
    start_timeout = "5s"; stop_timeout = "3s"; kill_timeout = "5s";
    probes = ( { type = "%(probe)s"; address = "127.0.0.1:2525"; interval = "1s"; timeout = "1s"; failures = 3; } );
    stall = { after = "%(stall)s"; };
    %(events)s
    stores = (
      { name = "imcdata"; layout = "flat"; dirs = [ "/var/spool/imc/In", "/var/spool/imc/Out" ];
        hold = "%(hold)s"; rebuildable = [ "/var/spool/imc/queue.dat" ]; },
      { name = "mta"; layout = "flat"; dirs = [ "/var/spool/imc/mta" ]; hold = "%(hold)s"; } );
    recovery = { settle = "2s"; verify = "4s"; max_time = "%(max_time)s"; max_per_hour = 20; };
    %(extra)s
  } );
"""


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def entry_of(path):
    """(digest, inode, mode, uid, gid, mtime) of a file; None if it was delivered meanwhile."""
    try:
        st = os.lstat(path)
        digest = digest_of(path) if stat.S_ISREG(st.st_mode) else None
    except FileNotFoundError:
        return None
    return digest, st.st_ino, oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns


def time_of(record):
    """A record's time in seconds since the epoch."""
    return datetime.datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


class Context:
    """One test's machines. close() cuts their power: an orderly shutdown would wait for services that can't be stopped."""

    def __init__(self, name, build):
        self.name, self.build, self.machines = name, build, []

    def machine(self, kind="base", unjamd=True):
        if unjamd and not os.path.exists(self.build + "/unjamd"):
            raise Skip("unjamd is not built")
        m = Machine("%s-%d" % (self.name, len(self.machines)) if self.machines else self.name, kind)
        self.machines.append(m)
        fixtures = self.build + "/tests/fixtures"
        os.makedirs(m.path("/usr/local/bin"), exist_ok=True)
        shutil.copy(fixtures + "/imcd", m.path("/usr/local/bin/imcd"))
        if unjamd:
            subprocess.run(["cmake", "--install", self.build, "--prefix", "/usr"], check=True,
                           stdout=subprocess.DEVNULL, env=dict(os.environ, DESTDIR=m.root))
        return m

    def describe(self):
        """For the log of a test that failed."""
        for m in self.machines:
            print("---- %s" % m.name)
            try:
                if m.init:
                    print(m.journal("-n", "250", "-u", "unjamd", "-u", "imc", "-u", "imc-home", "-u", "postfix@-", "-u", "init.scope"))
                if os.path.exists(m.path(AUDIT)):
                    with open(m.path(AUDIT), errors="replace") as f:
                        print("".join(line[:1500].rstrip() + "\n" for line in f.readlines()[-150:]))
                if m.init and os.path.exists(m.path("/usr/bin/unjamctl")):
                    print(m.run("unjamctl", "status", check=False).stdout)
            except Exception as e:
                print("(nothing more: %s)" % e)

    def close(self, keep):
        for m in self.machines:
            m.remove(keep)
            if keep:
                print("kept:", m.directory)


class Imc:
    """imcd as imc.service on a machine, with unjamd over it if the machine has it."""

    def __init__(self, context, switches="", unit="", service="", unjamd=True, listen="--listen 127.0.0.1:2525",
                 kind="base"):
        self.context = context
        self.m = context.machine(kind, unjamd)
        self.sent = collections.Counter()
        for name in DIRECTORIES:
            os.makedirs(self.m.path("%s/%s" % (SPOOL, name)))
        os.makedirs(self.m.path(MAILDIR))
        self.m.write("/etc/systemd/system/imc.service", IMC_UNIT % {"unit": unit, "service": service})
        self.listen = listen
        self.switch(switches)

    def switch(self, switches):
        """How imcd is to behave from its next start on."""
        self.m.write("/etc/imcd.env", 'LISTEN="%s"\nSWITCHES="%s"\n' % (self.listen, switches))

    def mail(self, directory, count, poison=(), tag=None, hostile=False):
        """Messages into a directory. @poison: {number: what}. Yields the names of the poisoned ones."""
        tag = tag or directory[0].lower()
        command = [self.context.build + "/tests/fixtures/mkmail", "--tag", tag]
        for number, what in dict(poison).items():
            command += ["--poison", "%d=%s" % (number, what)]
        if hostile:
            command.append("--hostile")
        out = subprocess.run(command + [self.m.path("%s/%s" % (SPOOL, directory)), str(count)], check=True,
                             capture_output=True).stdout
        self.sent.update("%d.%s" % (i, tag) for i in range(1, count + 1))
        names = [os.path.basename(p) for p in out.rstrip(b"\n").split(b"\n")] if not hostile and out else []
        return [os.fsdecode(n) for n in names]

    def configure(self, **keys):
        known = {"mode": "act", "stall": "4s", "max_time": "5min", "hold": SPOOL + "/.unjam", "probe": "tcp",
                 "extra": "", "events": EVENTS}
        check(not set(keys) - set(known), "no such key: %r" % keys)
        self.m.write("/etc/unjamd/unjamd.conf", CONFIG % dict(known, **keys), 0o600)
        shutil.rmtree(self.m.path("/etc/unjamd/conf.d"), ignore_errors=True)

    def boot(self, unjamd=True):
        self.m.boot()
        if unjamd:
            self.m.run("systemctl", "enable", "--now", "unjamd.service")
            wait(lambda: self.state() is not None, 20, "unjamd to answer")

    def start(self, expect=True):
        r = self.m.run("systemctl", "start", "imc.service", check=False)
        check_equal(r.returncode == 0, expect, "start of imc.service succeeds")

    def inventory(self):
        """{path below the spool: (digest, inode, mode, uid, gid, mtime)} of every message in its store."""
        found = {}
        for directory in DIRECTORIES:
            base = os.fsencode(self.m.path("%s/%s" % (SPOOL, directory)))
            for name in os.listdir(base):
                entry = entry_of(os.path.join(base, name))
                if entry:
                    found[os.fsdecode(os.path.join(os.fsencode(directory), name))] = entry
        return found

    def left(self):
        """What lies in the stores, by name alone."""
        return ["%s/%s" % (d, n) for d in DIRECTORIES for n in os.listdir(self.m.path("%s/%s" % (SPOOL, d)))]

    def delivered(self):
        """How often each message was delivered, by its token."""
        found = collections.Counter()
        new = self.m.path(MAILDIR + "/new")
        for name in os.listdir(new) if os.path.isdir(new) else []:
            with open("%s/%s" % (new, name), "rb") as f:
                token = re.search(rb"^Message-ID: <(.*)@test.invalid>$", f.read(), re.M)
            check(token, "a delivered message without its token: " + name)
            found[token.group(1).decode()] += 1
        return found

    # unjamd

    def ctl(self, *words, check=True):
        return self.m.run("unjamctl", "--json", *words, check=check)

    def state(self):
        r = self.ctl("status", check=False)
        return json.loads(r.stdout)["services"][0]["state"] if r.returncode == 0 else None

    def audit(self, event=None, **members):
        """The records, oldest first, of one event, and with these members."""
        if not os.path.exists(self.m.path(AUDIT)):
            return []
        with open(self.m.path(AUDIT), "rb") as f:
            # The last line may be in the making.
            records = [json.loads(line) for line in f.read().split(b"\n")[:-1]]
        return [r for r in records if (event is None or r["event"] == event)
                and all(r.get(k) == v for k, v in members.items())]

    def closed(self, seconds=180, number=1):
        """Waits for the @number'th incident to close; its record."""
        return wait(lambda: self.audit("incident.closed")[number - 1:number], seconds,
                    "incident.closed (state %s)" % self.state())[0]

    def incidents(self):
        return json.loads(self.ctl("incident", "list").stdout)

    def quarantined(self):
        return json.loads(self.ctl("quarantine", "list").stdout)

    def held_names(self):
        """Names of all files below hold, whatever they are held for."""
        found = []
        for base, _, names in os.walk(os.fsencode(self.m.path(SPOOL + "/.unjam"))):
            found += [os.fsdecode(n) for n in names]
        return found

    # What must be true whatever happened

    def check_verify(self):
        r = self.m.run("unjamctl", "audit", "verify", check=False)
        check_equal(r.returncode, 0, "unjamctl audit verify: " + r.stdout + r.stderr)

    def check_ledger(self, closed):
        ledger = closed["data"]["ledger"]
        check_equal(ledger["before"] + ledger["arrived"],
                    sum(ledger[k] for k in ("untouched", "restored", "quarantined", "consumed", "held", "unaccounted")),
                    "the ledger balances: %r" % ledger)
        check_equal(ledger["unaccounted"], 0, "unaccounted")
        return ledger

    def check_delivery(self, closed, culprits):
        """Every message but the culprits was delivered, and repeats are those that the record names."""
        names = set(closed["data"]["maybe_repeated"])
        found = self.delivered()
        lost = set(self.sent) - set(found) - culprits
        check(not lost, "not delivered: %s" % sorted(lost)[:20])
        check(not set(found) & culprits, "a culprit was delivered")
        repeated = {token_name(t) for t, n in found.items() if n > 1}
        check(repeated <= names, "repeated, and not named: %s" % sorted(repeated - names)[:20])

    def check_recovered(self, poisons, store="imcdata", trials=None):
        """The whole chain worked: @poisons, {file name: inventory entry before}, and nothing else, is in quarantine."""
        closed = self.closed()
        data = closed["data"]
        check_equal(data["result"], "recovered", "result")
        check_equal(sorted(c["id"] for c in data["culprits"] or []), sorted(poisons), "culprits")
        self.check_ledger(closed)
        check_equal(data["ledger"]["quarantined"], len(poisons), "ledger: quarantined")
        check_equal(data["ledger"]["held"], 0, "ledger: held")
        self.check_quarantine(poisons, store)
        wait(lambda: not self.left(), 30, "the rest of the mail to be delivered, %s is left" % self.left()[:5])
        self.check_delivery(closed, {token_of(name) for name in poisons})
        check_equal(self.state(), "healthy", "state")
        check_equal(self.m.property("imc.service", "ActiveState"), "active", "imc.service")
        if trials is not None:
            check(data["trials"] <= trials, "%d trials" % data["trials"])
        self.check_undisturbed()
        self.check_verify()
        return closed

    def check_quarantine(self, poisons, store):
        """Each poison lies in quarantine as it was: content, inode, mode, owner and time."""
        listed = {r["id"]: r for r in self.quarantined()}
        check_equal(sorted(listed), sorted(poisons), "unjamctl quarantine list")
        base = self.m.path(SPOOL + "/.unjam/quarantine")
        where = {}
        for entry in os.listdir(base):
            for path, _, names in os.walk("%s/%s/files" % (base, entry)):
                where.update({name: ("%s/%s" % (base, entry), "%s/%s" % (path, name)) for name in names})
        check_equal(sorted(where), sorted(poisons), "files in quarantine")
        for name, before in poisons.items():
            record, (entry, path) = listed[name], where[name]
            check_equal(entry_of(path), before, name + " in quarantine")
            check_equal(record["store"], store, name + "'s store")
            check_equal(record["service"], "imc", name + "'s service")
            check_equal(record["files"][0]["sha256"], before[0], name + "'s digest")
            check_equal(os.stat(entry).st_mode & 0o7777, 0o700, "mode of the quarantine directory")
            with open(entry + "/message.json") as f:
                check_equal(json.load(f)["id"], name, "message.json")

    def check_undisturbed(self):
        """After an incident nothing of it is left on the unit."""
        check_equal(self.m.property("imc.service", "NeedDaemonReload"), "no", "NeedDaemonReload")
        drop_ins = self.m.property("imc.service", "DropInPaths")
        check("unjam" not in drop_ins or self.audit("incident.closed"), "drop-ins: " + drop_ins)
        check_equal(self.m.property("imc.service", "Restart"), self.restart_before(), "Restart=")

    def restart_before(self):
        found = re.search(r"^Restart=(\S+)", self.m.read("/etc/systemd/system/imc.service"), re.M)
        return found.group(1) if found else "no"

    def check_same(self, before, after, but=()):
        """Two inventories agree byte for byte, inode for inode."""
        for path in sorted(set(before) | set(after)):
            if path not in but:
                check_equal(after.get(path), before.get(path), "spool: " + path)


def token_of(name):
    """The token of a file that mkmail made: "i00017.msg" holds <17.i@test.invalid>."""
    found = re.fullmatch(r"([a-z]+)0*(\d+)\.msg", name)
    if not found:
        raise Failure("not a name of mkmail's: %r" % name)
    return "%s.%s" % (found.group(2), found.group(1))


def token_name(token):
    number, tag = token.split(".")
    return "%s%05d.msg" % (tag, int(number))
