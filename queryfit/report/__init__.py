"""A report on a stretch of time: what changed, what takes the time, what to do, and whether the advice was right.

`content.assemble` makes its content from a session with history and from what the judge found; `render/report_*.py`
give it a form.
"""
