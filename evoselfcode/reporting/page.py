"""How a report looks: the plot style, cards for samples, and one HTML page that needs nothing else.

A plain module; see nbs/reporting/74_report.ipynb.
"""
import html
import io
import re
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..io_utils import write_bytes

__all__ = [
    "BLUE", "ORANGE", "GREEN", "PURPLE", "RED", "GREY", "COLORS", "STYLE", "Plot", "plot", "apart", "coloured", "Code",
    "Cards", "Checks", "Facts", "Note", "Text", "shown", "write_html",
]

# After Okabe and Ito: apart for colour-blind readers too. All are of middle lightness, and pictures have no background,
# so that the same picture can be read on a white page and on a dark one.
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#0A7CC0", "#D55E00", "#009E73", "#B455A0", "#DA3E3E", "#7B7B7B"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, GREY, "#0A8A99", "#B8860B", "#6D6DC8")   # of lines, in this order
SHARP = 1.6   # pixels of the picture for one of the page, in each direction
STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": GREY,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "lines.linewidth": 1.8,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#80808099",
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#80808033",
    "axes.axisbelow": True,
}


class Plot:
    "A matplotlib figure that a notebook shows as a small PNG without a background."
    def __init__(self, figure):
        self.figure = figure
        self.title = ", ".join(axis.get_title(loc="left") for axis in figure.axes)

    def __repr__(self) -> str: return f"Plot({self.title})"
    def _repr_png_(self):
        "Return the picture, its width on the page, and words for those who cannot see it."
        return self.png(), {"alt": self.title, "width": round(self.figure.get_figwidth() * STYLE["figure.dpi"])}

    def png(self) -> bytes:
        "Return the picture with a palette: a third of the bytes, and nobody sees it."
        from PIL import Image
        raw, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(raw, format="png", dpi=SHARP * STYLE["figure.dpi"])
        picture = Image.open(raw).convert("RGBA")
        few = picture.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(small, "PNG", optimize=True)
        return small.getvalue()


def plot(
    draw,             # called with the list of panels
    width: float,     # inches
    height: float,    # inches
    panels: int = 1,  # side by side
) -> Plot:
    "Open a figure in the report's style and let `draw` fill its panels."
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        draw(list(figure.subplots(1, panels, squeeze=False)[0]))
    return Plot(figure)


def apart(
    values: list[float],  # where labels would like to be
    gap: float,           # how far apart they must be
) -> list[float]:         # where they go, in the same order
    "Move labels apart until neighbours keep a distance."
    order, placed = np.argsort(values, kind="stable"), np.array(values, dtype=float)
    for _ in range(100):
        for low, high in zip(order, order[1:]):
            short = gap - (placed[high] - placed[low])
            if short > 1e-9:
                placed[low] -= short / 2
                placed[high] += short / 2
    return placed.round(6).tolist()


def coloured(code: str) -> str:
    "Write Python as HTML, its words coloured for light and dark pages alike; what stands in it stays text."
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    from pygments.style import Style
    from pygments.token import Comment, Keyword, Name, Number, Operator, String
    class Middle(Style):
        styles = {Comment: GREY, Keyword: PURPLE, Operator.Word: PURPLE, String: GREEN, Number: ORANGE,
                  Name.Function: BLUE, Name.Builtin: BLUE}
    formatter = HtmlFormatter(style=Middle, noclasses=True, nowrap=True)
    return highlight(code, PythonLexer(stripnl=False, ensurenl=False), formatter).rstrip()  # it ends with a new line


MONO = "ui-monospace,monospace"   # said in each, since not every notebook's page does


class Code:
    "Python that a notebook shows as code."
    def __init__(self, code: str): self.code = code.rstrip()
    def __repr__(self) -> str: return self.code
    def _repr_html_(self) -> str: return f'<pre style="font-family:{MONO};overflow-x:auto">{coloured(self.code)}</pre>'


def facts_line(row: dict) -> str:
    "Tell in one line what is known about a sample."
    names = ("perplexity", "round_trip", "right", "kept", "dropped_by", "reason")
    known = {name: row[name] for name in names if row.get(name) not in (None, "") and row[name] == row[name]}
    words = [f"perplexity {known['perplexity']:.2f}"] if "perplexity" in known else []
    if "round_trip" in known: words.append(f"round trip {100 * known['round_trip']:.0f} %")
    if "right" in known: words.append("right" if known["right"] else "wrong")
    if "kept" in known: words.append("kept" if known["kept"] else "dropped")
    causes = dict.fromkeys(str(known[name]).replace("_", " ") for name in ("dropped_by", "reason") if name in known)
    if causes: words.append(f"{'dropped by' if 'dropped_by' in known else 'because'} {': '.join(causes)}")
    return " · ".join(words)


class Cards:
    "Samples that a notebook shows one below the other, their code as it stands."
    def __init__(self, table): self.rows = table.to_dict("records")

    @property
    def empty(self) -> bool: return not self.rows

    def __repr__(self) -> str: return f"Cards({len(self.rows)} samples)"

    def _repr_html_(self) -> str:
        escape = lambda text: html.escape(str(text))
        cards = [
            '<div style="border-left:3px solid #8885;padding-left:.8em;margin:0 0 1.2em">'
            f'<div>{escape(row["description"])}</div>'
            f'<pre style="font-family:{MONO};margin:.3em 0;overflow-x:auto">{coloured(str(row["code"]).rstrip())}</pre>'
            f'<small style="color:{GREY}">{escape(facts_line(row))}</small></div>'
            for row in self.rows
        ]
        return "".join(cards)


class Checks:
    "What was checked, a line each; what was not done is red."
    def __init__(self, states: dict[str, str]): self.states = states   # name: what became of it
    def __repr__(self) -> str: return "\n".join(f"{name}: {state}" for name, state in self.states.items())

    def _repr_html_(self) -> str:
        styles = {True: f' style="color:{RED};font-weight:600"', False: ""}
        rows = [
            f"<li{styles[state.startswith('not done')]}>{html.escape(f'{name}: {state}')}</li>"
            for name, state in self.states.items()
        ]
        return f"<ul>{''.join(rows)}</ul>"


class Facts:
    "Short facts, a line each, with their names before them; a command is shown as one."
    def __init__(self, facts: dict[str, str]): self.facts = facts   # name: what is known; nothing is left out
    def __repr__(self) -> str: return "\n".join(f"{name}: {fact}" for name, fact in self.facts.items())

    def _repr_html_(self) -> str:
        write = lambda name, text: f"<code>{html.escape(text)}</code>" if name == "command" else html.escape(text)
        facts = self.facts.items()
        rows = [f"<div><small>{html.escape(name)}</small> {write(name, fact)}</div>" for name, fact in facts]
        return f'<div class="facts">{"".join(rows)}</div>'


class Note:
    "A paragraph among a notebook's results."
    def __init__(self, text: str): self.text = text
    def __repr__(self) -> str: return self.text
    def _repr_html_(self) -> str: return f"<p><strong>{html.escape(self.text)}</strong></p>"


class Text(Note):
    "A plain paragraph."
    def _repr_html_(self) -> str: return f"<p>{html.escape(self.text)}</p>"


def shown(
    result,          # a table, plot or cards; None or empty when the run has none
    otherwise: str,  # what to say then
):
    "Return a result, or a note where there is nothing to show."
    return Note(otherwise) if result is None or getattr(result, "empty", False) else result


CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --soft: #666; --line: #e4e4e4; --shade: #0003; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #dcdcdc; --soft: #a0a0a0; --line: #34373c; --shade: #000a; } }
body { font: 17px/1.6 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif;
  color: var(--ink); background: var(--paper); max-width: 50rem; margin: 3rem auto 6rem; padding: 0 1.2rem;
  overflow-wrap: break-word; }
h1, h2, h3, table, small { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line); }
blockquote { margin: 0 0 1.5rem; color: var(--soft); font-style: italic; }
p { margin: .8rem 0; }
img { max-width: 100%; height: auto; display: block; margin: .8rem 0; }
.facts { font-size: 15px; line-height: 1.5; border-left: 3px solid var(--line); padding-left: .8rem;
  margin: 0 0 1.5rem; }
.facts small { display: inline-block; min-width: 5.5rem; color: var(--soft); }
/* pictures of one cell stand side by side where there is room */
.output { display: flex; flex-wrap: wrap; column-gap: 1rem; }
.output > .output_area { min-width: 0; max-width: 100%; }
.output > .output_area:only-child, .output > .output_area:has(.output_html) { width: 100%; }
table { border-collapse: collapse; font-size: 14px; line-height: 1.4; font-variant-numeric: tabular-nums;
  margin: .8rem 0; border: 0; }
.output_subarea > p, .output_subarea img { margin: .2rem 0; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; vertical-align: top;
  border: 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
thead th { border-bottom: 1px solid #8888; }
tbody th { text-align: left; white-space: nowrap; }
tbody td:not(:last-child) { white-space: nowrap; }
tbody th + td:last-child, thead th:last-child:nth-child(2) { text-align: left; }
code, pre { font: 14px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.output_subarea { overflow-x: auto; }
/* a shadow where there is more to the side */
.output_subarea { background:
  linear-gradient(90deg, var(--paper) 40%, transparent) 0/3rem 100% no-repeat local,
  linear-gradient(270deg, var(--paper) 40%, transparent) 100%/3rem 100% no-repeat local,
  linear-gradient(90deg, var(--shade), transparent) 0/.8rem 100% no-repeat scroll,
  linear-gradient(270deg, var(--shade), transparent) 100%/.8rem 100% no-repeat scroll; }
@media (max-width: 40rem) {
  body { font-size: 16px; margin-top: 1.5rem; }
  h1 { font-size: 1.6rem; }
  table { font-size: 13px; }
  th, td { padding-right: .55rem; }
  th:last-child, td:last-child { padding-right: 0; }
  tbody td:not(:last-child) { white-space: normal; }
  code, pre { font-size: 13px; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{css}</style></head>
<body>{body}</body></html>
"""


def templates() -> list[str]:
    "Where nbconvert's own files say its templates lie; Jupyter's data folders may be another environment's."
    from importlib.metadata import files
    found = [Path(file.locate()) for file in files("nbconvert") or () if file.parts[-2:] == ("basic", "conf.json")]
    return [str(path.parents[1]) for path in found if path.is_file()]


def is_progress(output) -> bool:
    "Whether an output is what a stage says on its way, which is for who waits."
    return output.output_type == "stream" and (
        output.name == "stderr" or "%|" in output.text or " reused" in output.text
    )


ASIDE = "not-on-the-page"   # tag of a notebook's cells that are for who runs it


def write_html(
    executed_notebook: str | Path,  # a notebook with its outputs
    out_html: str | Path,           # where the page goes
) -> Path:                          # the page; its title names the folder that the notebook lies in, a run's
    "Write an executed notebook as one self-contained HTML page without its code."
    import nbformat
    from nbconvert import HTMLExporter
    path = Path(executed_notebook)
    if not path.is_file(): raise UserError(f"{path}: no such notebook")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if ASIDE not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        if cell.cell_type == "code": cell.outputs = [output for output in cell.outputs if not is_progress(output)]
    exporter = HTMLExporter(
        template_name="basic", extra_template_basedirs=templates(), extra_template_paths=templates(),
        exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = re.sub(r"<script\b.*?</script>|<style scoped\b.*?</style>", "", body, flags=re.DOTALL | re.IGNORECASE)
    headings = (re.match(r"# (.+)", cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    title = f"{next((match[1] for match in headings if match), path.stem)}: {path.resolve().parent.name}"
    return write_bytes(out_html, PAGE.format(title=html.escape(title), css=CSS, body=body).encode("utf-8"))
