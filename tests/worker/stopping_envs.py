"""Environments for the tests of stops: slow ones, and ones that use what belongs to the process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np


class Counting(gymnasium.Env[np.ndarray, int]):
    """Observes (t, last action, a number drawn at reset); ends after 7 steps."""

    observation_space = gymnasium.spaces.Box(-100, 100, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t, self.action, self.start = 0, 0, float(self.np_random.normal())
        return self.observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.t % 2)
        self.t, self.action = self.t + 1, action
        return self.observe(), reward, self.t == 7, False, {}

    def observe(self) -> np.ndarray:
        return np.array([self.t, self.action, self.start], np.float32)


class Slow(Counting):
    """Takes `SLOW_SECONDS` per step (0.3)."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(float(os.environ.get("SLOW_SECONDS", "0.3")))
        return super().step(action)


class SlowAndMortal(Slow):
    """Lets signals end the process that makes it."""

    def __init__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


class SlowFromFifthStep(Counting):
    """Takes 0.3 s for each of the first four steps of an episode, and a minute for each later one."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(0.3 if self.t < 4 else 60)
        return super().step(action)


class SlowToEvaluate(Counting):
    """Takes 0.3 s per step if it is made once the file `training` exists: for an evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = Path("training").exists()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.is_slow:
            Path("evaluating").touch()
            time.sleep(0.3)
        return super().step(action)


class SlowToMake(Counting):
    """Takes a minute to make."""

    def __init__(self) -> None:
        time.sleep(60)


class Asks(Counting):
    """Reads a line from the user in its third step."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.t == 2:
            self.ask()
        return super().step(action)

    def ask(self) -> None:
        input("which way? ")


class Debugs(Asks):
    """Stops in the debugger in its third step."""

    def ask(self) -> None:
        breakpoint()


class ReadsLine(Asks):
    """Reads from standard input, as a program does that takes the end of a file for an answer."""

    def ask(self) -> None:
        assert sys.stdin.readline() == ""
        assert os.read(0, 10) == b""
        assert subprocess.run(["cat"], stdout=subprocess.PIPE, check=True).stdout == b""


class ThreadLeft(Counting):
    """Leaves a thread that is not a daemon."""

    def __init__(self) -> None:
        threading.Thread(target=time.sleep, args=(60,)).start()


class ForkLeft(Counting):
    """Leaves a forked child."""

    def __init__(self) -> None:
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)).start()


class ProgramLeft(Counting):
    """Leaves programs that inherit every descriptor they can."""

    def __init__(self) -> None:
        os.system("sleep 60 &")
        subprocess.Popen(["sleep", "60"], close_fds=False)


class EndsItsChildren(Counting):
    """Ends its children by SIGTERM when it is closed, and waits for them."""

    def __init__(self) -> None:
        self.program = subprocess.Popen(["sleep", "60"])
        self.child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        self.child.start()

    def close(self) -> None:
        for process in (self.program, self.child):
            process.terminate()
        assert self.program.wait() == -15
        self.child.join()
        assert self.child.exitcode == -15


class Moves(Counting):
    """Changes the working directory when it is made."""

    def __init__(self) -> None:
        os.chdir("/")


class Prints(Counting):
    """Prints on every way out."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.t == 3:
            print('{"event": "done"} from print')
            os.write(1, b"from descriptor 1\n")
            print("from standard error", file=sys.stderr)
        return super().step(action)


for env in (
    Counting, Slow, SlowAndMortal, SlowFromFifthStep, SlowToEvaluate, SlowToMake, Asks, Debugs, ReadsLine,
    ThreadLeft, ForkLeft, ProgramLeft, EndsItsChildren, Moves, Prints,
):  # fmt: skip
    gymnasium.register(f"{env.__name__}-v0", env)
