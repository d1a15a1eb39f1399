"""What training reports, the history that a checkpoint keeps of it, and where else it may go (`Sink`). No JAX."""

from softstep.records.events import Record as Record
from softstep.records.sink import LoggedAgent as LoggedAgent
from softstep.records.sink import LoggedRun as LoggedRun
from softstep.records.sink import Sink as Sink
