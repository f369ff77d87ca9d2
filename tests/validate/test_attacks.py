"""Programs that try to get out of the sandbox, run by root and (where the tests are) by others."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from envlock.validate.outcome import explain

from .test_sandbox import _processes_with, python

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.validate.sandbox import Bubblewrap

pytestmark = pytest.mark.container
USERS = pytest.mark.parametrize("user", [(65532, 65532), (0, 0)], ids=["nonroot", "root"])

TRIES = """\
import ctypes, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
told = {}

def tries(name):
    def now(attack):
        try: told[name] = attack() or 'DONE'
        except OSError as error: told[name] = type(error).__name__
    return now

def call(*arguments):
    done = libc.syscall(*(ctypes.c_long(one) for one in arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), 'refused')

ARM = os.uname().machine == 'aarch64'
def unix(address): socket.socket(socket.AF_UNIX).connect(address)
"""

REACH = """\
@tries('tcp')
def _(): socket.create_connection(('127.0.0.1', PORT), 2)
@tries('udp')
def _(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))
@tries('abstract socket')
def _(): unix(ABSTRACT)
@tries('packets')
def _(): socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
@tries('raw')
def _(): socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
@tries('route')
def _():
    seen = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    seen.send(b'\\x14\\0\\0\\0\\x12\\0\\1\\3' + bytes(12))  # RTM_GETLINK, NLM_F_DUMP
    names = [name for _, name in socket.if_nameindex()]
    raise PermissionError if names == ['lo'] else RuntimeError(names)
@tries('kill')
def _(): os.kill(HOST, 0)
@tries('trace')
def _(): call(117 if ARM else 101, 16, HOST, 0, 0)
@tries('trace the first process')
def _(): call(117 if ARM else 101, 16, 1, 0, 0)
@tries('memory of the first process')
def _(): open('/proc/1/mem', 'r+b')
@tries('root of the first process')
def _(): os.listdir('/proc/1/root')
@tries('handle of the first process')
def _(): os.pidfd_open(1)
@tries('keys')
def _(): call(219 if ARM else 250, 0, -3, 0)
@tries('user namespace')
def _(): call(97 if ARM else 272, 0x10000000)
@tries('mount')
def _(): call(40 if ARM else 165, 0, 0, 0, 0x20, 0)
@tries('bpf')
def _(): call(280 if ARM else 321, 0, 0, 0)
@tries('io_uring')
def _(): call(425, 8, 0)
@tries('settings')
def _():
    for folder, _, names in os.walk('/proc/sys'):
        for name in names:
            try: os.close(os.open(f'{folder}/{name}', os.O_WRONLY | os.O_NONBLOCK))
            except OSError: continue
            return f'{folder}/{name}'
    raise PermissionError
@tries('sysrq')
def _(): os.open('/proc/sysrq-trigger', os.O_WRONLY)
@tries('memory of the kernel')
def _(): open('/dev/mem', 'rb')
@tries('disk')
def _(): os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0))
@tries('new device')
def _(): open('/dev/x', 'w')
print(json.dumps(told))
"""


@USERS
def test_nothing_of_the_machine_is_reached(
    sandbox: Bubblewrap, rootfs: Path, user: tuple[int, int]
) -> None:
    abstract = f"\0envlock-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        listening.bind(abstract)
        listening.listen()
        facts = {"PORT": server.getsockname()[1], "ABSTRACT": abstract, "HOST": os.getpid()}
        head = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
        done = python(sandbox, rootfs, TRIES + head + REACH, user=user)
    told = json.loads(done.stdout)
    assert len(told) == 22, done.stderr
    allowed = {"ConnectionRefusedError", "PermissionError", "ProcessLookupError", "OSError"}
    assert {name: said for name, said in told.items() if said not in allowed} == {
        "memory of the first process": "FileNotFoundError",
        "root of the first process": "FileNotFoundError",
        "memory of the kernel": "FileNotFoundError",
        **({"sysrq": "FileNotFoundError"} if told["sysrq"] == "FileNotFoundError" else {}),
    }


@USERS
def test_the_image_is_as_it_was(sandbox: Bubblewrap, rootfs: Path, user: tuple[int, int]) -> None:
    source = (
        "import os, shutil, sys\n"
        "for place in ('/etc/passwd', '/usr/bin/python3', '/app', '/home/nonroot'):\n"
        "  for way in (lambda: open(place, 'a').write('x'), lambda: os.remove(place),\n"
        "      lambda: os.chmod(place, 0o777), lambda: os.utime(place),\n"
        "      lambda: os.rename(place, place + '~'), lambda: os.truncate(place, 0),\n"
        "      lambda: os.chown(place, 1, 1), lambda: os.symlink('x', place + '/x'),\n"
        "      lambda: open('/proc/self/root' + place, 'a'), lambda: os.link(place, '/tmp/x')):\n"
        "    try: way()\n"
        "    except OSError: continue\n"
        "    print(place, way.__code__.co_names)\n"
    )
    before = _tree(rootfs)
    done = python(sandbox, rootfs, source, user=user)
    assert (done.stdout, done.returncode) == (b"", 0), done.stderr
    assert _tree(rootfs) == before


def _tree(root: Path) -> str:
    found = hashlib.sha256()
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted((*folders, *names)):
            kind = os.lstat(f"{folder}/{name}")
            found.update(
                f"{folder}/{name} {kind.st_mode} {kind.st_size} {kind.st_mtime_ns}".encode()
            )
    return found.hexdigest()


def test_nothing_stays_after_the_end(sandbox: Bubblewrap, rootfs: Path) -> None:
    """Neither children in sessions of their own nor their children, twice removed."""
    word = f"stays-{os.getpid()}-{time.monotonic_ns()}"
    source = (
        "import os, signal, sys, time\n"
        "for number in range(3):\n"
        "  if os.fork() == 0:\n"
        "    os.setsid(); [signal.signal(one, signal.SIG_IGN) for one in (1, 2, 15)]\n"
        "    if os.fork() == 0:\n"
        f"      os.execvp('python3', ['python3', '-c', 'import time; time.sleep(600)', {word!r}])\n"
        "    time.sleep(600)\n"
        "time.sleep(0.3)\n"
    )
    assert python(sandbox, rootfs, source).returncode == 0
    deadline = time.monotonic() + 5
    while (left := _processes_with(word)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


BOMB = """\
import os, threading, time
for _ in range(3000):
    try: child = os.fork()
    except OSError: break
    if child == 0:
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
THREADS = """\
import threading, time
for _ in range(700): threading.Thread(target=time.sleep, args=(60,)).start()
"""


@pytest.mark.parametrize("silent", ["", "import os; os.close(1); os.close(2)\n"])
@pytest.mark.parametrize("source", [BOMB, THREADS], ids=["processes", "threads"])
def test_what_multiplies_is_ended(
    sandbox: Bubblewrap, rootfs: Path, source: str, silent: str
) -> None:
    """Also where root runs it, whom RLIMIT_NPROC does not hold."""
    done = python(sandbox, rootfs, silent + source, processes=500, timeout=40)
    assert (done.crowded, done.timed_out) == (True, False), done
    assert done.seconds < 30
    assert explain(done, "python3")[-1] == (
        "more processes than a check may have: everything was killed"
    )


def test_what_fills_the_disk_fills_its_own(sandbox: Bubblewrap, rootfs: Path) -> None:
    source = (
        "for place in ('/tmp', '/run', '/var/tmp', '/dev/shm', '/home/nonroot'):\n"
        "  try: open(place + '/x', 'wb').write(bytes(12 << 20))\n"
        "  except OSError as error: print(error.errno)\n"
    )
    limited = {"tmpfs": ("/home/nonroot",), "disk": 10 << 20}
    assert python(sandbox, rootfs, source, **limited).stdout.split() == [b"28"] * 5


def test_the_kernel_ends_it_before_anything_else(sandbox: Bubblewrap, rootfs: Path) -> None:
    source = "print(open('/proc/self/oom_score_adj').read())"
    for more in ({}, {"memory": 1 << 30}):
        assert python(sandbox, rootfs, source, **more).stdout.strip() == b"1000"
