"""``envlock run`` on a terminal and without one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import tarfile
import termios
from typing import TYPE_CHECKING

import pytest

from ..validate.images import Layout, member, python_layer

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.machine import Machine

NAME = "training"
_LONGEST = 60
"""Seconds in which a program says something more, or ends."""
WITH_TERMINAL = (
    "import fcntl, os, signal, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a shell has it; tests may run where not\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
TTY = """
import ctypes, fcntl, os, sys, termios
print('ttys', [os.isatty(fd) for fd in (0, 1, 2)])
print('size', tuple(os.get_terminal_size()))
termios.tcsetattr(0, termios.TCSANOW, termios.tcgetattr(0))
print('mine', os.tcgetpgrp(0) != -1)
for request in (termios.TIOCSTI, termios.TIOCLINUX):
    try:
        fcntl.ioctl(0, request, b'x')
        print('typed')
    except OSError as error:
        print(type(error).__name__)
print('read', input())
"""


@pytest.fixture
def built(machine: Machine) -> Machine:
    config = {"User": "nonroot", "WorkingDir": "/app", "Env": ["PATH=/usr/bin"]}
    layout = Layout(machine.project / "build" / NAME, config=config)
    layout.raw_layer(python_layer()).layer(member("usr/bin/data", "x")).write()
    return machine


def on_a_terminal(
    machine: Machine, *arguments: str, typed: bytes = b"", after: bytes = b""
) -> tuple[int, str]:
    """Run envlock with a terminal of 40 lines, 123 columns; return its exit code and all output.

    after: what is to be seen before anything is typed.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 123))
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_TERMINAL, *machine.command(*arguments)],
        cwd=machine.project,
        env={**machine.environ, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    try:
        while True:
            if typed and after in said:
                os.write(ours, typed)
                typed = b""
            if not select.select([ours], [], [], _LONGEST)[0]:
                process.kill()
                pytest.fail(f"nothing more after {said.decode()!r}")
            said += os.read(ours, 1 << 16)
    except OSError:  # EIO: everybody has closed it
        pass
    os.close(ours)
    return process.wait(60), said.decode()


@pytest.mark.container
def test_a_terminal_that_nobody_can_type_into(built: Machine) -> None:
    code, said = on_a_terminal(built, "run", NAME, "--", "python3", "-c", TTY, typed=b"hello\n")
    assert code == 0, said
    for line in ("ttys [True, True, True]", "size (123, 40)", "mine True", "read hello"):
        assert line in said
    assert said.count("PermissionError") == 2
    assert "typed" not in said


@pytest.mark.container
@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        ("KeyboardInterrupt: print('mine'); raise SystemExit(7)", 7, "mine"),
        ("OSError: pass", 130, ""),
    ],
)
def test_ctrl_c_is_the_programs_own(built: Machine, answer: str, code: int, told: str) -> None:
    program = f"import time\ntry: print('begun', flush=True); time.sleep(60)\nexcept {answer}"
    found = on_a_terminal(
        built, "run", NAME, "--", "python3", "-c", program, typed=b"\x03", after=b"begun"
    )
    assert found[0] == code, found
    assert told in found[1]
    assert "stopped; what was fetched" not in found[1]


@pytest.mark.container
def test_ctrl_c_without_a_python_in_the_image(built: Machine) -> None:
    shell = member("usr/bin/python3", "#!/none\n", mode=0o755)
    config = {"Env": ["PATH=/usr/bin"]}
    layout = Layout(built.project / "build" / NAME, config=config).raw_layer(python_layer())
    layout.layer(shell).write()
    program = "print('begun', flush=True); input()"
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    code, said = on_a_terminal(
        built, "run", NAME, "--", python, "-c", program, typed=b"\x03", after=b"begun"
    )
    assert code == 130, said
    assert "stopped" in said


@pytest.mark.container
def test_the_commands_exit_code(built: Machine) -> None:
    done = built.run("run", NAME, "python3", "-c", "print('out'); raise SystemExit(7)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "")


@pytest.mark.container
@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("nonexist", 127, "nonexist is not in the image"),
        ("/app/none", 127, "/app/none is not in the image"),
        ("--network", 127, "options go before NAME"),
        ("data", 126, "data in the image is not an executable file"),
    ],
)
def test_a_command_that_cannot_be_run(built: Machine, program: str, code: int, told: str) -> None:
    done = built.run("run", NAME, "--", program)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "sandbox" not in done.stderr
    assert on_a_terminal(built, "run", NAME, "--", program)[0] == code


@pytest.mark.container
def test_a_program_in_a_bound_folder(built: Machine, tmp_path: Path) -> None:
    tool = tmp_path / "tools" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/usr/bin/python3\nprint('bound')\n")
    tool.chmod(0o755)
    done = built.run("run", "--bind", f"{tool.parent}:/tmp/tools", NAME, "/tmp/tools/tool")
    assert (done.returncode, done.stdout) == (0, "bound\n"), done.stderr


@pytest.mark.container
def test_a_program_that_does_not_start(built: Machine) -> None:
    layout = Layout(built.project / "build" / NAME, config={"Env": ["PATH=/usr/bin"]})
    layout.layer(member("usr/bin/script", "#!/none\n", mode=0o755)).write()
    done = built.run("run", NAME, "script")
    assert done.returncode == 1
    assert "execvp script" in done.stderr
    assert "'script' did not start" in done.stderr


@pytest.mark.container
def test_an_image_for_another_machine(built: Machine) -> None:
    host = os.uname().machine
    other, elf = ("amd64", 62) if host == "aarch64" else ("arm64", 183)
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + bytes([elf, 0]) + bytes(100)
    layout = Layout(built.project / "build" / NAME, config={"Env": ["PATH=/usr/bin"]})
    layout.layer(*(member(f"usr/bin/{name}", header, mode=0o755) for name in ("true", "x")))
    layout.write(other)
    done = built.run("run", NAME, "x")
    assert done.returncode == 1
    assert f"this image is for linux/{other} and this machine is {host}" in done.stderr
    assert "hint: run it on such a machine" in done.stderr
    known = "linux-aarch64" if host == "aarch64" else "linux-64"
    lock = built.project / "locks" / f"{NAME}.{known}.lock.json"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    done = built.run("run", NAME, "x")
    assert f"envlock build {NAME} --platform {known}" in done.stderr


@pytest.mark.container
def test_an_image_by_its_path(built: Machine) -> None:
    layout = built.project / "build" / NAME
    with tarfile.open(built.project / "image.tar", "w") as archive:
        archive.add(layout, ".")
    layout.rename(built.project / "elsewhere")
    for image in ("image.tar", "elsewhere", "./elsewhere", str(built.project / "image.tar")):
        done = built.run("run", image, "python3", "-c", "print('there')")
        assert (done.returncode, done.stdout) == (0, "there\n"), done.stderr
    done = built.run("run", "./nothing", "python3")
    assert done.returncode == 2
    assert "./nothing: this is neither an OCI layout nor a tar of one" in done.stderr
