"""Environments: one contract, three makers.

- `gymnax:ID` steps inside the compiled loop (`gymnax_maker`).
- An id without a maker is a Gymnasium environment, stepped on the host (`gymnasium_maker`).
- `envpool:ID` is stepped on the host, many environments in one call (`envpool_maker`, optional).

Every step returns the observation *before* any reset, and distinguishes a terminal state (`terminated`) from an episode
that was cut off (`truncated`). `contract` is the specification.
"""

from softstep.envs.contract import CompiledEnv as CompiledEnv
from softstep.envs.contract import EnvSpec as EnvSpec
from softstep.envs.contract import EvaluationEnvs as EvaluationEnvs
from softstep.envs.contract import HostEnvs as HostEnvs
from softstep.envs.contract import Maker as Maker
from softstep.envs.contract import Step as Step
from softstep.envs.contract import episode_seed as episode_seed
from softstep.envs.contract import split_id as split_id
from softstep.envs.gymnasium_maker import make_gymnasium as make_gymnasium
from softstep.envs.gymnax_maker import GymnaxHostEnvs as GymnaxHostEnvs
from softstep.envs.gymnax_maker import make_compiled as make_compiled
from softstep.envs.makers import describe as describe
from softstep.envs.makers import longest_episode as longest_episode
from softstep.envs.makers import make_evaluation as make_evaluation
from softstep.envs.makers import make_host as make_host
