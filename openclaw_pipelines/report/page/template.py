"""How a page is made of its template, and a figure of a drawing. Everything that comes from data is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from openclaw_pipelines.report.page.findings import Finding
from openclaw_pipelines.report.page.plots import Draw, svg
from openclaw_pipelines.report.page.text import stamp


@dataclass(frozen=True)
class Figure:
    """A plot with its caption. `svg` is the only text that a template does not escape."""

    svg: str
    title: str
    caption: str


def figure(prefix: str, title: str, caption: str, draw: Draw, height_inches: float) -> Figure:
    """A drawing as a figure; prefix: of the ids inside it, unique on the page."""
    return Figure(svg(draw, prefix=prefix, label=f"{title}. {caption}", height_inches=height_inches), title, caption)


class Generated(Protocol):
    """What a page is made from: when, and by which version of the program."""

    @property
    def generated_at(self) -> datetime:
        """When the page was made."""

    @property
    def version(self) -> str:
        """Version of the program."""


def rendered(template: str, data: Generated, findings: Sequence[Finding], **values: object) -> str:
    """One self-contained HTML document, its findings at the top; equal values give equal bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("openclaw_pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = {"data": data, "generated_at": stamp(data.generated_at).text, "findings": findings}
    return environment.get_template(template).render({**made, **values})
