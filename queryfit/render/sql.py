"""SQL and running text as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markdown import Markdown
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from queryfit.render.escape import block
from queryfit.render.look import Look
from queryfit.render.table import console

_INDENT = 2


def highlighted(sql: str, look: Look, *, indent: int = _INDENT) -> str:
    """SQL with colours where the look has them; its lines are kept whole, so that they can be copied."""
    text = block(sql).strip("\n")
    if look.has_colour:
        by = console(look)
        syntax = Syntax("", "postgresql", theme="ansi_dark")
        coloured = syntax.highlight(text)
        coloured.rstrip()
        coloured.style = ""  # the theme's own background
        with by.capture() as captured:
            by.print(coloured, soft_wrap=True)
        text = captured.get().rstrip("\n")
    return indented(text, indent)


def indented(text: str, indent: int = _INDENT) -> str:
    """Every line that holds something moved to the right."""
    return "\n".join(f"{' ' * indent}{line}" if line.strip() else "" for line in text.splitlines())


def paragraph(text: str | Text, look: Look, *, indent: int = 0, style: str = "") -> str:
    """Running text wrapped at the width, every line indented."""
    body = text if isinstance(text, Text) else Text(text, style)
    by = console(look)
    with by.capture() as captured:
        by.print(Padding(body, (0, 0, 0, indent)), overflow="fold")
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def styled(text: str, style: str, look: Look) -> str:
    """One line in a style, not wrapped."""
    if not look.has_colour:
        return text
    by = console(look)
    with by.capture() as captured:
        by.print(Text(text, style), end="", soft_wrap=True)
    return captured.get()


def prose(markdown: str, look: Look, *, indent: int = _INDENT) -> str:
    """The words of a rule, which are Markdown. Control characters are written out before they are laid out."""
    by = console(look)
    with by.capture() as captured:
        by.print(Padding(Markdown(block(markdown), code_theme="ansi_dark", hyperlinks=False), (0, 0, 0, indent)))
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def joined(parts: Sequence[str]) -> str:
    """Blocks with one empty line between them; empty blocks leave none."""
    return "\n\n".join(part for part in parts if part.strip())
