"""Reports that reach people: mail and webhooks, at most once, and nothing lost.

`deliver` is the door; `message` makes the mail, `smtp` and `webhook` hand it over, `outbox` remembers.
"""

from __future__ import annotations

from queryfit.delivery.deliver import Delivered, deliver, send_kept
from queryfit.delivery.message import Attachment, Image, Letter, Period

__all__ = ["Attachment", "Delivered", "Image", "Letter", "Period", "deliver", "send_kept"]
