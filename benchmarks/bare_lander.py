"""Lunar Lander stepped with random actions and nothing else, in one process per core; prints one JSON line.

    python -m benchmarks.bare_lander '{"lander": "leaner", "processes": 2, "seconds": 5}'

`leaner` is `softstep.envs.lunar_lander`, `gymnasium` is Gymnasium's own. Both simulate with Box2D.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from typing import Any

from gymnasium.envs.box2d.lunar_lander import LunarLander as GymnasiumLander

from softstep.envs.lunar_lander import faster_lander

LANDERS: dict[str, Any] = {"leaner": faster_lander(), "gymnasium": GymnasiumLander}

AT_A_TIME = 200
"""Steps between two looks at the clock."""


def step_randomly(lander: str, seed: int, seconds: float, start: Any) -> float:
    """Return the steps per second of one environment, resets included, once every process is ready."""
    env = LANDERS[lander]()
    env.reset(seed=seed)
    actions, steps = random.Random(seed), 0
    start.wait()
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        for _ in range(AT_A_TIME):
            _, _, terminated, *_ = env.step(actions.randrange(4))
            if terminated:
                env.reset()
        steps += AT_A_TIME
    return steps / elapsed


def measure(request: dict[str, Any]) -> dict[str, float]:
    """Return the steps per second of all processes together."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(request["processes"]) as pool:
        start = manager.Barrier(request["processes"])
        work = [(request["lander"], seed, request["seconds"], start) for seed in range(request["processes"])]
        return {"rate": sum(pool.starmap(step_randomly, work, chunksize=1))}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
