"""The two-network learner: pure `init` and `update`, its networks, losses and optimizers."""

from softstep.learner.algorithms import make_learner as make_learner
from softstep.learner.contract import Hyper as Hyper
from softstep.learner.contract import Learner as Learner
from softstep.learner.contract import LearnerState as LearnerState
from softstep.learner.q_learning import build_learner as build_learner
