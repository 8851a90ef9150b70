"""What you can ask for: the Grok requests, any other model, and the check before anything is sent.

## Grok

``grok`` takes the fields of all Grok requests and returns the class that has them: text to video, image to video,
references to video, an edit, or an extension. A field that does not fit is refused by name.

```python
from foxvideo import grok

text = grok(prompt="A fox trots through snow", duration=6)
picture = grok(prompt="The camera slowly pushes in", image_url="https://example.com/fox.png")
assert picture.model != text.model
```

## Any other model

``Request`` takes the id of a model and its fields. The catalogue (``foxvideo.catalogue``) knows the fields of 101
documented models; a model that it does not know is sent as it is.

```python
from foxvideo import InvalidRequest, Request

try:
    task = client.submit(Request("kling-v3-image-to-video", prompt="The camera slowly pushes in", lenght=5))
except InvalidRequest as error:
    for fault in error.faults:
        print(fault.field, fault.value, fault.allowed)
```

All faults are found at once, before anything is sent. ``check=False`` sends a request all the same: use it when the
service has learned something that the documentation does not say yet. ``client.submit`` also takes a mapping, which is
the API's own JSON.

## Local pictures and videos

Where a field takes a URL, it also takes a ``pathlib.Path`` or ``bytes``. The file is uploaded first, and the same
content once in 24 hours. The upload gets a public address, which is random and lives 72 hours: whoever has it can open
it.
"""

from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.grok import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    grok,
)

__all__ = [
    "GrokEditVideo",
    "GrokImageToVideo",
    "GrokReferenceToVideo",
    "GrokTextToVideo",
    "GrokVideoExtension",
    "Request",
    "VideoRequest",
    "grok",
]
