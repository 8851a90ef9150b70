"""The asyncio-native client for FoxAPI video generation."""

from foxvideo._journal.record import RecordStatus, TaskRecord
from foxvideo._version import __version__
from foxvideo.account import Balance, Prices
from foxvideo.client import Client
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    ClientClosed,
    DownloadError,
    FieldFault,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    JournalError,
    KeyConflict,
    KeyStateError,
    ModelUnavailable,
    RateLimited,
    ResultExpired,
    ResultsMissing,
    ServiceUnavailable,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    UploadError,
)
from foxvideo.media import Media, Progress, SavedFile
from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.grok import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    grok,
)
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Every, Schedule
from foxvideo.state import Result, Status, TaskProblem, TaskState, Usage
from foxvideo.task import VideoTask
from foxvideo.video import Video

__all__ = [
    "AuthenticationError",
    "BadReply",
    "Balance",
    "Client",
    "ClientClosed",
    "DownloadError",
    "Every",
    "FieldFault",
    "FoxError",
    "GrokEditVideo",
    "GrokImageToVideo",
    "GrokReferenceToVideo",
    "GrokTextToVideo",
    "GrokVideoExtension",
    "InsufficientCredits",
    "InvalidRequest",
    "JournalError",
    "KeyConflict",
    "KeyStateError",
    "Learned",
    "Media",
    "ModelUnavailable",
    "Prices",
    "Progress",
    "RateLimited",
    "RecordStatus",
    "Request",
    "Result",
    "ResultExpired",
    "ResultsMissing",
    "SavedFile",
    "Schedule",
    "ServiceUnavailable",
    "Status",
    "SubmitUncertain",
    "TaskAbandoned",
    "TaskCancelled",
    "TaskFailed",
    "TaskNotFound",
    "TaskProblem",
    "TaskRecord",
    "TaskState",
    "TaskTimeout",
    "UploadError",
    "Usage",
    "Video",
    "VideoRequest",
    "VideoTask",
    "__version__",
    "grok",
]
