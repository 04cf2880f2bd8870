"""Root file systems for the machines: made once by mmdebstrap, kept below /var/cache/unjamd-tests.

An image is named after a digest of what went into it, so a changed list makes a new one. The suite is that of the host,
because the programs under test are built there; so are the mirrors: whatever apt uses for Debian's own archive.
"""

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess

CACHE = "/var/cache/unjamd-tests"
# The libraries of unjamd's run time bear a number in their names that differs between releases.
DEVELOPMENT = ["libconfig-dev", "libjansson-dev", "libpcre2-dev", "libsodium-dev"]
BASE = ["systemd", "systemd-sysv", "dbus", "iproute2", "procps", "e2fsprogs", "acl", "attr", "python3-minimal"]
EXTRA = {
    "base": [],
    "supervisors": ["openrc", "runit", "s6", "sysvinit-utils"],
    "postfix": ["postfix", "python3", "libcap2-bin"],
    "exim": ["exim4-daemon-light", "python3"],
    "opensmtpd": ["opensmtpd", "python3"],
    "sendmail": ["sendmail-bin", "sensible-mda", "python3"],
    "nullmailer": ["nullmailer", "python3"],
    "cyrus": ["cyrus-imapd", "cyrus-admin", "python3", "postfix"],
    "mailman": ["mailman3", "postfix", "python3", "libcap2-bin"],
}
# What is done to an image of one kind, with its directory as $1. Mailman makes its database, and the list that the tests
# write to, once for all: on a busy host that takes as long as a test.
HOOKS = {
    "mailman": ['cp "%s/files/mailman-list" "$1"/root/' % os.path.dirname(os.path.abspath(__file__)),
                'chroot "$1" /root/mailman-list'],
}
FORMAT = "4"  # raise it when the hooks below change


def _codename():
    with open("/etc/os-release") as f:
        return dict(re.findall(r'^(\w+)="?([^"\n]*)', f.read(), re.M))["VERSION_CODENAME"]


def _libraries():
    names = set()
    for package in DEVELOPMENT:
        depends = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", package], check=True, capture_output=True,
                                 text=True).stdout
        names.update(re.findall(r"\b(lib(?:config|jansson|pcre2-8-|sodium)\d+)\b", depends))
    return sorted(names)


def _sources(codename):
    """sources.list lines for Debian's archive as this host reaches it."""
    out = subprocess.run(["apt-get", "indextargets", "--format",
                          "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)", "Created-By: Packages"],
                         capture_output=True, text=True).stdout
    lines = []
    for line in out.splitlines():
        uri, release, component, origin = line.split("|")
        if origin == "Debian" and release.startswith(codename):
            lines.append("deb %s %s %s" % (uri, release, component))
    return sorted(set(lines))


def _inputs(kind):
    """What else than packages an image is made of: the words of its hooks, and of the file that they run."""
    words = list(HOOKS.get(kind, []))
    for name in set(re.findall(r"/files/([\w-]+)", " ".join(words))):
        with open("%s/files/%s" % (os.path.dirname(os.path.abspath(__file__)), name)) as f:
            words.append(f.read())
    return [re.sub(r'"[^"]*/files/', "", word) for word in words]


def _make(directory, packages, codename, more):
    hooks = [
        # A booted machine waits for nobody, and its network is loopback.
        'rm -f "$1"/etc/machine-id && : >"$1"/etc/machine-id',
        'printf "127.0.0.1 mail.test.invalid mail localhost\\n" >"$1"/etc/hosts',
        'echo mail.test.invalid >"$1"/etc/mailname; echo mail.test.invalid >"$1"/etc/hostname',
        'for u in systemd-resolved systemd-networkd systemd-timesyncd; do '
        'ln -sf /dev/null "$1"/etc/systemd/system/$u.service; done',
        'for u in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do '
        'ln -sf /dev/null "$1"/etc/systemd/system/$u.timer; done',
    ]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(packages),
               '--essential-hook=mkdir -p "$1"/etc; echo mail.test.invalid >"$1"/etc/mailname']
    command += ["--customize-hook=" + hook for hook in hooks + more]
    command += [codename, directory]
    subprocess.run(command, input="\n".join(_sources(codename)) + "\n", text=True, check=True,
                   env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def ensure(kind):
    """The directory of the image; it is made if it is not there."""
    packages = BASE + _libraries() + EXTRA[kind]
    codename = _codename()
    digest = hashlib.sha256(" ".join([FORMAT, codename] + packages + _inputs(kind)).encode()).hexdigest()[:12]
    final = "%s/%s-%s-%s" % (CACHE, kind, codename, digest)
    os.makedirs(CACHE, mode=0o755, exist_ok=True)
    # Whoever comes second waits for the first one's work.
    with open("%s/.%s.lock" % (CACHE, kind), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(final):
            if not _sources(codename):
                subprocess.run(["apt-get", "-qq", "update"], check=True)
            for old in glob.glob("%s/%s-*" % (CACHE, kind)):
                shutil.rmtree(old)
            _make(final + ".tmp", packages, codename, HOOKS.get(kind, []))
            os.rename(final + ".tmp", final)
    return final
