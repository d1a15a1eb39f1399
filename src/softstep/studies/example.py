"""An example spec to start from."""

EXAMPLE = """\
# A study: every combination of the axes' values, with every seed. Run it with `softstep study run FILE`.

env = "gymnax:CartPole-v1"      # any environment of `softstep envs`
# preset = "lab"                # settings to start from (`softstep presets`)

[base]                          # any field of the configuration (`softstep train --help`)
total_steps = 50_000
batch_size = 64
learning_starts = 1_000
train_every = 1
eval_every = 5_000
eval_episodes = 20
exploration = { steps = 10_000, end = 0.02 }

[axes]                          # lists, or low, high and count of a log range
learning_rate = { low = 1e-4, high = 1e-2, count = 3 }
c = [0.0, 0.9, 0.99]            # weight of the old target; 0: no target network
# gamma = [0.95, 0.99]          # data, like the axes above: its cells share a compiled program
# "exploration.end" = [0.02, 0.1]   # data too, as are exploration's start, steps and decay
# hidden = [[64, 64], [128, 128]]   # a shape: each value gets a population of its own

[seeds]
first = 0
count = 4
selection = 2                   # the first two select cells for claims, the others judge

[[claims]]                      # declared before anything is run
name = "a-target-helps"
first = { c = [0.9, 0.99] }     # of several cells, the best on the selection seeds
second = { c = 0.0 }
"""
