"""The asyncio-native client for FoxAPI video generation."""

from typing import TYPE_CHECKING

from foxvideo._journal import Journal, RecordStatus, TaskRecord
from foxvideo._transfer.part import SavedFile
from foxvideo._version import __version__
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
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    Request,
    VideoRequest,
)
from foxvideo.schedule.base import Asked, Every, Schedule
from foxvideo.state import Result, Status, TaskProblem, TaskState, Usage
from foxvideo.task import VideoTask
from foxvideo.video import Video

if TYPE_CHECKING:
    from foxvideo.schedule.adaptive import Learned

__all__ = [
    "Asked",
    "AuthenticationError",
    "BadReply",
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
    "Journal",
    "JournalError",
    "KeyConflict",
    "KeyStateError",
    "Learned",
    "ModelUnavailable",
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
]


if not TYPE_CHECKING:  # or any name at all would pass a type checker

    def __getattr__(name: str) -> object:
        """Import the default schedule when it is needed; its mathematics would take a tenth of this import's time."""
        if name != "Learned":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from foxvideo.schedule.adaptive import Learned  # noqa: PLC0415

        return Learned
