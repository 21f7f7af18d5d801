"""Many ImageBuilds at once: all of Kubernetes that the operator sees is real, but nodes are pretended."""

from .nodes import FakeNodes
from .operator import OperatorProcess
from .trial import Figures, Load, Outcome, Trial, is_reading, prepared

__all__ = ["FakeNodes", "Figures", "Load", "OperatorProcess", "Outcome", "Trial", "is_reading", "prepared"]
