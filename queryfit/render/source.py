"""Findings in files for a person at a terminal: the line of source, with a mark under what is at fault.

It is printed at every commit, so it does without rich, whose import takes longer than the lint of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from queryfit.findings import Finding, NotChecked, Report
from queryfit.render import phrases
from queryfit.render.escape import block, line, printable, without_commands
from queryfit.render.look import Look

_SEVERITY_CODES = {"error": "1;31", "warning": "33", "info": "36"}  # as SEVERITY_STYLES of the server's report
_BOLD, _DIM, _GREEN, _YELLOW, _CYAN = "1", "2", "32", "33", "36"
_TAB = 4
_FIX_LINES = 6
_MOST_GAPS = 6
_CONTEXT = 12  # columns shown before a fault that does not fit
_ELLIPSIS = "…"


def render(report: Report, look: Look, *, is_verbose: bool = False) -> str:
    """The report as text, by file and line; -v also lists what was suppressed and every gap."""
    page = _Page(look)
    parts = [page.finding(entry, text) for entry, text in phrases.with_lines(report)]
    parts.append(_suppressed(report, page) if is_verbose else "")
    parts.append(_gaps(report, page, None if is_verbose else _MOST_GAPS))
    parts.append("\n".join(page.paragraph(f"note: {line(note, 400)}") for note in report.notes))
    parts.append(_summary(report, page))
    return without_commands("\n\n".join(part for part in parts if part))


def excerpt(text: str, start: int, end: int, width: int) -> tuple[str, str]:
    """A line of source in at most `width` columns, and the marks to print under it.

    `start` and `end` are places in `text`, from 0, of which the marks stand below. Tabs are blanks and control
    characters are written out in what is returned; where the line is too long, an ellipsis stands for what is left out.
    """
    start = min(start, len(text))
    end = min(max(end, start + 1), max(len(text), start + 1))
    if (plain := _plain(text, width)) is not None:
        before, upto = (_width(text[:place].expandtabs(_TAB)) for place in (start, end))
        return plain, f"{' ' * before}{'^' * max(upto - before, 1)}"
    # what is farther away is never shown, and a line may be a megabyte long
    first, last = max(start - 2 * width, 0), min(start + 2 * width, len(text))
    if (part := text[first:last]).isascii() and part.isprintable():
        return _excerpt_of_plain(part, start - first, min(end, last) - first, width, (first > 0, last < len(text)))
    shown, widths = _cells(part)
    start, end = start - first, min(end, last) - first
    before, fault = sum(widths[:start]), sum(widths[start:end])
    left, right = 0, len(shown)
    if first or last < len(text) or before + sum(widths[start:]) > width:
        after = sum(widths) - before - fault
        room = width - (last < len(text) or after > 0)
        if first or before + fault > room:
            # the whole fault if it fits, and of what is left a third for what follows
            spare = room - 1 - fault
            context = spare - min(after, spare // 3) if spare > 0 else _CONTEXT
            left = _fitting(widths, start, context - 1)
        taken = sum(widths[left:start]) + (left > 0)
        right = start
        while right < len(shown) and taken + widths[right] <= width - (right + 1 < len(shown) or last < len(text)):
            taken += widths[right]
            right += 1
    is_cut = right < len(shown) or last < len(text)
    lead = _ELLIPSIS if left or first else ""
    source = f"{lead}{''.join(shown[left:right])}{_ELLIPSIS if is_cut else ''}"
    marked = max(sum(widths[start : min(end, right)]), 1)
    return source, f"{' ' * (len(lead) + sum(widths[left:start]))}{'^' * marked}"


def _excerpt_of_plain(part: str, start: int, end: int, width: int, goes_on: tuple[bool, bool]) -> tuple[str, str]:
    """The same where each character takes one column; `goes_on` says whether the line does, on either side."""
    is_begun, is_open = goes_on
    size, fault = len(part), end - start
    left = 0
    room = width - (is_open or size > end)
    if is_begun or end > room:
        spare = room - 1 - fault
        context = spare - min(size - end, spare // 3) if spare > 0 else _CONTEXT
        left = start - min(max(context - 1, 0), start)
    lead = _ELLIPSIS if left or is_begun else ""
    free = width - (start - left) - (left > 0)
    is_cut = is_open or size - start > free
    right = min(start + max(free - is_cut, 0), size)
    marked = max(min(end, right) - start, 1)
    source = f"{lead}{part[left:right]}{_ELLIPSIS if is_cut else ''}"
    return source, f"{' ' * (len(lead) + start - left)}{'^' * marked}"


def _plain(text: str, width: int) -> str | None:
    """The line as it is shown where nothing needs a second look: it fits, and only tabs are not shown as they are."""
    if len(text) > width:
        return None
    flat = text.expandtabs(_TAB)
    # tabs after wide characters stop elsewhere
    is_plain = flat.isprintable() and (flat.isascii() or flat == text)
    return flat if is_plain and _width(flat) <= width else None


def _fitting(widths: Sequence[int], end: int, room: int) -> int:
    """Where to begin so that what stands before `end` takes no more than `room` columns."""
    begin = end
    while begin > 0 and room >= widths[begin - 1]:
        begin -= 1
        room -= widths[begin]
    return begin


def _cells(text: str) -> tuple[list[str], list[int]]:
    """Each character as it is shown, and the columns that it takes."""
    if text.isascii() and text.isprintable():
        return list(text), [1] * len(text)
    shown, widths, column = [], [], 0
    for character in text:
        form = " " * (_TAB - column % _TAB) if character == "\t" else printable(character)
        shown.append(form)
        widths.append(_width(form))
        column += widths[-1]
    return shown, widths


def _width(text: str) -> int:
    """Columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 -- few texts need it

    return cell_len(text)


class _Page:
    """Text laid out for a look."""

    def __init__(self, look: Look) -> None:
        self._width = look.width
        self._has_colour = look.has_colour

    def painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._has_colour and code and text.strip() else text

    def finding(self, entry: Finding, source: str | None) -> str:
        severity = self.painted(entry.severity, _SEVERITY_CODES[entry.severity])
        rule, place = line(entry.rule), _place(entry)
        is_wide = _width(place) + len(entry.severity) + _width(rule) + 4 > self._width
        gap = "\n  " if is_wide else "  "
        lines = [f"{self.painted(place, _BOLD)}{gap}{severity}  {self.painted(rule, _DIM)}"]
        lines += self.wrapped(line(entry.message), 2)
        gutter = max(len(str(entry.line or "")), 3)
        room = self._width - gutter - 4
        if source is not None and entry.line:
            lines += self._excerpt(entry, source, gutter, room)
        if entry.fix:
            lines += self._fix(entry.fix, gutter, room)
        return "\n".join(lines)

    def _excerpt(self, entry: Finding, source: str, gutter: int, room: int) -> Iterator[str]:
        start = (entry.column or len(source) - len(source.lstrip()) + 1) - 1
        goes_on = entry.end_line is not None and entry.line is not None and entry.end_line > entry.line
        end = len(source) if goes_on or entry.end_column is None else entry.end_column - 1
        shown, marks = excerpt(source, start, end, room)
        yield f" {self.painted(f'{entry.line:>{gutter}} │', _DIM)} {shown}"
        until = f" to line {entry.end_line}" if goes_on else ""
        if len(marks) + len(until) > room:
            until = ""
        blank = len(marks) - len(marks.lstrip())
        under = f"{marks[:blank]}{self.painted(marks[blank:] + until, _SEVERITY_CODES[entry.severity])}"
        yield f" {self.painted(f'{chr(32):>{gutter}} │', _DIM)} {under}"

    def _fix(self, fix: str, gutter: int, room: int) -> Iterator[str]:
        """The statements of the fix; what does not fit goes on below, further in."""
        statements = phrases.essence(fix).splitlines()
        for number, text in enumerate(statements[:_FIX_LINES]):
            flat = block(text).rstrip()
            inner = len(flat) - len(flat.lstrip())
            parts = self.wrapped(flat.strip(), inner, room, hanging=2)
            for place, part in enumerate(parts):
                head = "fix" if number == place == 0 else ""
                yield f" {self.painted(f'{head:>{gutter}}', _GREEN)} {self.painted('│', _DIM)} {part}"
        if len(statements) > _FIX_LINES:
            left = phrases.counted(len(statements) - _FIX_LINES, "more line")
            yield f" {self.painted(f'{chr(32):>{gutter}} │ {_ELLIPSIS} {left}', _DIM)}"

    def paragraph(self, text: str, indent: int = 0, *, lead: str = "", code: str = "", style: str = "") -> str:
        """Wrapped text; `lead` stands before its first line, in a colour of its own."""
        first, *others = self.wrapped(f"{lead}{text}", indent, hanging=2 if lead else 0)
        blank = " " * indent
        head = f"{blank}{self.painted(lead, code)}{self.painted(first.removeprefix(f'{blank}{lead}'), style)}"
        return "\n".join([head, *(self.painted(other, style) for other in others)])

    def row(self, parts: Sequence[str], plain: str) -> str:
        """Parts side by side, or below one another where `plain`, which is they without colours, is too wide."""
        return (" · " if _width(plain) <= self._width else "\n").join(parts)

    def wrapped(self, text: str, indent: int, width: int | None = None, *, hanging: int = 0) -> list[str]:
        """Text on one line broken at its blanks; a word that is longer than the line is broken as well."""
        width = width or self._width
        indent = min(indent, width // 2)
        if indent + len(text) <= width and text.isascii():
            return [" " * indent + text]
        if text.isascii() and (quick := _wrapped_plain(text, indent, width, hanging)) is not None:
            return quick
        lines: list[str] = []
        now, used = " " * indent, indent
        is_begun = False
        for word in text.split(" "):
            size = _width(word)
            if is_begun and used + 1 + size > width:
                lines.append(now)
                now, used, is_begun = " " * (indent + hanging), indent + hanging, False
            elif is_begun:
                now, used = f"{now} ", used + 1
            for part in _broken(word, width - used) if used + size > width else (word,):
                if is_begun and used + _width(part) > width:
                    lines.append(now)
                    now, used = " " * (indent + hanging), indent + hanging
                now, used, is_begun = now + part, used + _width(part), True
        return [*lines, now]


def _wrapped_plain(text: str, indent: int, width: int, hanging: int) -> list[str] | None:
    """The same for text where a character is a column, without a look at each word; None where one is too long."""
    lines: list[str] = []
    blank, start = " " * indent, 0
    while len(text) - start > width - len(blank):
        cut = text.rfind(" ", start, start + width - len(blank) + 1)
        if cut < 0:
            return None
        lines.append(blank + text[start:cut])
        blank, start = " " * (indent + hanging), cut + 1
    return [*lines, blank + text[start:]]


def _broken(word: str, room: int) -> Iterator[str]:
    """A word in pieces of at most that many columns."""
    room = max(room, 2)
    if word.isascii():
        yield from (word[n : n + room] for n in range(0, len(word), room))
        return
    piece, used = "", 0
    for character in word:
        size = _width(character)
        if used + size > room:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + size
    yield piece


def _place(entry: Finding | NotChecked) -> str:
    """`path:line:column`, as editors and terminals make a link of it."""
    column = getattr(entry, "column", None)
    parts = [line(entry.file or entry.subject or "")]
    if entry.file and entry.line:
        parts += [str(entry.line), *([str(column)] if column else [])]
    return ":".join(parts)


def _suppressed(report: Report, page: _Page) -> str:
    lines = []
    for entry in report.suppressed:
        text = f"{_place(entry)}  {line(entry.rule)}: {line(entry.suppressed_by or '', 200)}"
        lines.append(page.paragraph(text, lead="  "))
    return "\n".join([page.painted("Suppressed", _BOLD), *lines]) if lines else ""


def _gaps(report: Report, page: _Page, most: int | None) -> str:
    """What could not be judged, a reason at a time, where, and what would mend it."""
    gaps = phrases.gaps(report.not_checked)
    if not gaps:
        return ""
    places: dict[tuple[str, str | None], dict[str, None]] = {}
    for entry in report.not_checked:
        if entry.file or entry.subject:
            places.setdefault((entry.reason, entry.hint), {})[_place(entry)] = None
    lines = [page.painted("Not checked, so neither found nor clean", _BOLD)]
    for gap in gaps[:most]:
        where = tuple(places.get((gap.reason, gap.hint), ()))
        text = line(gap.reason, 300) + (f" ({phrases.some(where, 3)})" if where else "")
        lines.append(page.paragraph(text, 2, lead="· ", code=_YELLOW))
        lines.append(page.paragraph(f"keeps from judging: {phrases.some(gap.rules, 4)}", 4, style=_DIM))
        if gap.hint:
            lines.append(page.paragraph(line(gap.hint, 300), 4, lead="hint: ", code=_CYAN))
    if most is not None and len(gaps) > most:
        lines.append(f"  {_ELLIPSIS} and {phrases.counted(len(gaps) - most, 'more reason')}: -v lists them all")
    return "\n".join(lines)


def _summary(report: Report, page: _Page) -> str:
    """How many findings in how many files; where there are none, how much is clean."""
    files = phrases.counted(len(report.files or ()), "file")
    rest = [f"{len(report.suppressed):,} suppressed"] if report.suppressed else []
    if gaps := phrases.unjudged(report.not_checked):
        rest.append(f"{gaps:,} not checked")
    if report.findings:
        hit = len({entry.file for entry in report.findings})
        where = f"{hit:,} of {files}" if hit < len(report.files or ()) else files
        counts = phrases.severities(report.findings)
        said = ", ".join(page.painted(text, _SEVERITY_CODES[name]) for name, text in counts.items())
        plain = " · ".join([f"{', '.join(counts.values())} in {where}", *rest])
        worst = min(phrases.by_place(report), key=lambda entry: phrases.SEVERITIES.index(entry.severity))
        why = f"`queryfit rules show {line(worst.rule)}` says why"
        return "\n".join([page.row([f"{said} in {where}", *rest], plain), page.paragraph(why, style=_DIM)])
    if not report.files:
        return page.painted("No file to lint.", _YELLOW)
    if not report.rules_run:
        return page.painted(f"Nothing was judged in {files}: no rule ran.", _YELLOW)
    if report.statements is not None:
        files += f", {phrases.counted(report.statements, 'statement')}"
    clean = f"No finding in {files}"
    return page.row([page.painted(clean, _YELLOW if gaps else _GREEN), *rest], " · ".join([clean, *rest]))
