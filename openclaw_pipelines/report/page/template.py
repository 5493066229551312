"""How a page is made of its template, and a figure of a drawing. Everything that comes from data is escaped."""

from dataclasses import dataclass
from typing import Any

from openclaw_pipelines.report.page.plots import Draw, svg


@dataclass(frozen=True)
class Figure:
    """A plot with its caption. `svg` is the only text that a template does not escape."""

    svg: str
    title: str
    caption: str


def figure(prefix: str, title: str, caption: str, draw: Draw, height_inches: float) -> Figure:
    """A drawing as a figure; prefix: of the ids inside it, unique on the page."""
    return Figure(svg(draw, prefix=prefix, label=f"{title}. {caption}", height_inches=height_inches), title, caption)


def rendered(template: str, **values: Any) -> str:
    """One self-contained HTML document; equal values give equal bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("openclaw_pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
