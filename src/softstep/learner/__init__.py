"""The two-network learner: pure `init` and `update`, its networks, losses and optimizers."""

from softstep.learner.update import Hyper as Hyper
from softstep.learner.update import Learner as Learner
from softstep.learner.update import LearnerState as LearnerState
from softstep.learner.update import build_learner as build_learner
from softstep.learner.update import make_learner as make_learner
