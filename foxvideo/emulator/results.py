"""What a completed task shows: a link for most models, an id for those that make a voice, a character or an element.

https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail has the formats. Pure, apart from the link.
"""

import zlib
from collections.abc import Callable
from typing import Any

from foxvideo.emulator.ledger import TaskRecord


def shown(record: TaskRecord, link: Callable[[TaskRecord], str]) -> dict[str, Any]:
    """Return the fields of a reply that hold the results of a task.

    Args:
        record: The task, which is completed.
        link: Makes the link to its video; not called where there is no video.
    """
    mark = record.id.rpartition("-")[2]
    match record.model:
        case "kling-video-create-voice":
            result: dict[str, Any] = {"voice_id": f"voice-{mark}"}
        case "sora-2-character":
            result = {"character_id": f"char-{mark}", "name": record.body.get("name")}
        case "kling-custom-element":  # whose page names another field
            return {"results": None, "result_data": [{"element_id": f"element-{mark}"}]}
        case "sora-2" | "sora-2-pro" | "sora-2-pro-remix" if record.body.get("delete_video") is False:
            result = {"url": link(record), "video_id": f"video-{mark}"}
        case model if model.startswith("seedance-2.0"):
            seed = record.body.get("seed", -1)
            result = {"url": link(record), "seed": zlib.crc32(mark.encode()) if seed == -1 else seed}
        case _:
            result = {"url": link(record)}
    return {"results": [result]}
