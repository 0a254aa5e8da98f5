"""``make demo``: real packages from created to activated, on a service of the demo's own, with every command it runs.

What this file holds: the story, one function a chapter. How commands are shown and run: ``demo_shell.py``. The service it plays on, and
that nothing is left behind, also after Ctrl-C or a failure: ``demo_host.py``.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
try:
    import httpx

    from scripts.demo_host import own_folder, prepare, serving
    from scripts.demo_shell import BOLD, RED, Call, DemoError, Shell, check, paint, say, title
except ModuleNotFoundError as missing:
    sys.exit(f"demo: this Python has no {missing.name}; run it as: make demo")


def ask(shell: Shell, name: str, version: str) -> tuple[str, str]:
    """Create a package and ask for its download; answers its number and its job's."""
    package = shell.send(Call("POST", "/packages", {"name": name, "version": version}))
    check(package.get("status") == "created", f"{name} {version} could not be created: {package}")
    asked = shell.send(Call("POST", f"/package/{package['id']}/download"))
    check(asked.get("status") == "downloading", f"{name} {version} could not be asked for: {asked}")
    return str(package["id"]), asked["task_id"]


def download(shell: Shell, name: str, version: str) -> tuple[str, Any]:
    """As ``ask``, and wait; answers the package's number, and its job as it ended."""
    package, task_id = ask(shell, name, version)
    return package, shell.until(Call("GET", f"/jobs/{task_id}"), "state", shown=False)


def expect_built(job: Any) -> None:
    """Raises DemoError: the job did not succeed; with its reason."""
    check(job["state"] == "succeeded", f"{job['label']} was not built: {job['error']}")


def first_package(shell: Shell) -> None:
    """From created to activated, and the program's output."""
    title("A package: created, downloaded, activated")
    say("  Created is a wish. The download is a job in the background, a real nix-build; its task_id tells how it goes.")
    hello, task_id = ask(shell, "hello", "1.0.0")
    shell.let("JOB", task_id)
    expect_built(shell.until(Call("GET", "/jobs/$JOB"), "state"))
    package = shell.send(Call("GET", f"/package/{hello}"))
    check(package["status"] == "downloaded", f"hello is {package['status']}")
    say("  Activating makes a new generation of the environment live, in one rename; the health check must pass, or it is taken back.")
    answer = shell.send(Call("POST", f"/package/{hello}/activate", {"health_check": {"command": ["hello", "--version"]}}))
    check(answer.get("status") == "activated", f"hello was not activated: {answer}")
    shell.keep("PROFILE", Call("GET", "/environments/nix/default"), "path")
    shell.let("PATH", "$PROFILE/bin:$PATH")
    greeting(shell, "hello, world")


def greeting(shell: Shell, expected: str) -> None:
    """Run ``hello`` from the environment."""
    printed = shell.run("hello").strip()
    check(printed == expected, f"hello printed {printed!r} instead of {expected!r}")


def live_build(shell: Shell) -> None:
    """Six seconds of build, watched."""
    title("A build, live: six seconds of log as it is written, and the job's progress meanwhile")
    shell.let("JOB", ask(shell, "countdown", "1.0.0")[1])
    seen: list[str] = []

    def meanwhile(line: str) -> None:
        seen.append(line)
        if "4 seconds left" in line:
            say("  Meanwhile, as from another terminal:")
            job = shell.send(Call("GET", "/jobs/$JOB"))
            check(job["state"] == "running" and job["progress"]["expected"] == 1, f"the job says {job}")

    shell.follow(Call("GET", "/jobs/$JOB/log?follow=true", stream=True), meanwhile)
    check(any("lift-off" in line for line in seen), "the log ended before the build")
    expect_built(shell.until(Call("GET", "/jobs/$JOB"), "state"))


def upgrade(shell: Shell) -> None:
    """A package with a dependency, and a newer version in place of an older one."""
    title("Upgrade: greeter, which needs a hello of its own, and hello 2.1.0 in place of 1.0.0")
    for name, version in (("greeter", "1.0.0"), ("hello", "2.1.0")):
        package, job = download(shell, name, version)
        expect_built(job)
        answer = shell.send(Call("POST", f"/package/{package}/activate"))
        check(answer.get("status") == "activated", f"{name} was not activated: {answer}")
    greeting(shell, "Hello, wonderful world!")
    printed = shell.run("greeter")
    check("greeter asks hello" in printed, f"greeter printed {printed!r}")


def failures(shell: Shell) -> None:
    """What can't be had, and why."""
    title("A build that fails says why")
    package, job = download(shell, "broken", "1.0.0")
    check(job["state"] == "failed", f"broken was built: {job}")
    reason = shell.pick(Call("GET", f"/package/{package}"), "error")
    check("libfrobnicate 2.0 or newer is needed" in reason, f"the reason is {reason!r}")
    title("A version that isn't there: the answer names those that are")
    package, _ = download(shell, "hello", "9.9")
    reason = shell.pick(Call("GET", f"/package/{package}"), "error")
    check("2.1.0" in reason and "1.0.0" in reason, f"the reason is {reason!r}")


def unhealthy(shell: Shell) -> None:
    """An activation that is taken back."""
    title("A health check that fails: the activation is taken back, and the answer says what is live")
    package, job = download(shell, "cowsay", "3.8.4")
    expect_built(job)
    health = {"url": "http://127.0.0.1:9/health", "timeout_seconds": 2}
    problem = shell.send(Call("POST", f"/package/{package}/activate", {"health_check": health}))
    check(problem.get("code") == "activation_failed" and "live again" in problem["detail"], f"the answer was {problem}")
    live = shell.send(Call("GET", "/environments/nix/default"))
    check("cowsay" not in [member["name"] for member in live["packages"]], f"cowsay is live: {live}")


def rollback(shell: Shell) -> None:
    """Back to what was live before."""
    title("Rollback: what was live before is live again, in one rename; nothing is built")
    greeting(shell, "Hello, wonderful world!")
    live = shell.send(Call("POST", "/environments/nix/default/rollback"))
    check(live.get("generation") == 2, f"the answer was {live}")
    greeting(shell, "hello, world")


def fewer_scopes(shell: Shell) -> None:
    """A token that may only read."""
    title("A token with fewer scopes may only do what they say")
    wanted = {"name": "reader", "scopes": ["packages:read"], "expires_in_days": 1}
    shell.keep("READER", Call("POST", "/tokens", wanted), "token", masked)
    problem = shell.send(Call("POST", "/package/1/deactivate", token="READER"))  # noqa: S106
    check(problem.get("status") == 403 and problem["code"] == "insufficient_scope", f"the answer was {problem}")


def command_line(shell: Shell) -> None:
    """The same through pkgctl."""
    title("The same with pkgctl")
    shell.let("PKGCTL_URL", shell.env["API"].removesuffix("/api/v1"))
    shell.let("PKGCTL_TOKEN", "$TOKEN")
    listed = shell.run("pkgctl list")
    check("countdown" in listed and "failed" in listed, f"pkgctl list printed {listed!r}")
    check("greeter" in shell.run("pkgctl env"), "pkgctl env does not show greeter")


def masked(token: str) -> str:
    """As much of a token as lists show."""
    return f"{token[:15]}… (a real one is shown once; this one ends with the demo)"


def play() -> None:
    """All of it."""
    started = time.monotonic()
    with own_folder() as folder:
        shell = Shell(prepare(folder))
        say(paint("Package Master: every line that starts with $ is a command that is really run.", BOLD))
        if not shell.curl:
            say("curl is not installed (apt-get install curl): the same requests are sent by Python's httpx instead.")
        title("The service, and a token: on the server's own machine, in development, the first one needs no credentials")
        with serving(folder, shell):
            shell.keep("TOKEN", Call("POST", "/tokens", token=None), "token", masked)
            for step in (first_package, live_build, upgrade, failures, unhealthy, rollback, fewer_scopes, command_line):
                step(shell)
    title(f"All as expected, in {time.monotonic() - started:.0f} s; the service is stopped and {folder} is gone")
    say("  Next: make serve, and the quick start of README.md")


def interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    """Whatever is going on ends, and all is cleared up."""
    print("\ndemo: interrupted; stopping the service and clearing up …", file=sys.stderr, flush=True)
    sys.exit(128 + number)


def main() -> None:
    """Exit status: 0 all as expected, 1 not, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows only ASCII still shows the rest
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    try:
        play()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read has gone: nothing is left to be told
        sys.exit(1)
    except (DemoError, httpx.HTTPError, subprocess.TimeoutExpired, json.JSONDecodeError, KeyError, OSError) as error:
        what = str(error) if isinstance(error, DemoError) else f"{type(error).__name__}: {error}"
        sys.exit(paint(f"demo: {what}", RED))


if __name__ == "__main__":
    main()
