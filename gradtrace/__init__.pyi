"""The public names of gradtrace, with their homes."""

from .analysis.check import Check as Check
from .analysis.check import Verdict as Verdict
from .capture import trace as trace
from .derivative import LocalDerivative as LocalDerivative
from .errors import BackendError as BackendError
from .errors import DerivativeError as DerivativeError
from .errors import FileError as FileError
from .errors import GradtraceError as GradtraceError
from .errors import GradtraceWarning as GradtraceWarning
from .errors import GraphNotReadyError as GraphNotReadyError
from .errors import OptionError as OptionError
from .errors import RecordingError as RecordingError
from .errors import RendererError as RendererError
from .errors import RenderError as RenderError
from .errors import TraceError as TraceError
from .graph import Graph as Graph
from .graph import load as load
from .recording.plot import plot_grad_flow as plot_grad_flow
from .recording.reader import Recording as Recording
from .recording.reader import open_recording as open_recording
from .recording.record import Recorder as Recorder
from .recording.record import record as record
from .summary import Summary as Summary
from .tape import Source as Source
