"""The page's one style sheet: system fonts, light and dark, no wider than the screen; data scroll inside their own boxes."""

from __future__ import annotations

from pipeline.report.html.charts import HUES

# Colours of classes go once around the wheel; --tone keeps them readable on the ground. Shades of the confusion grid, 0 to 9.
_CLASSES = "\n".join(
    f".c{i} {{ color: hsl({360 * i // HUES} 62% var(--tone)); }}" for i in range(HUES)
)
_SHADES = "\n".join(
    f".h{i} {{ background: color-mix(in srgb, var(--accent) {5 * i}%, transparent); }}"
    for i in range(1, 10)
)

CSS = (
    """
:root {
  color-scheme: light dark;
  --ink: #1d2126; --soft: #5b646e; --line: #e2e5e9; --ground: #fdfdfc; --raised: #f4f5f6; --accent: #0f6674;
  --s0: #6a737d; --s1: #0f7c8b; --s2: #b4570a; --s3: #6d4bc3; --s4: #b52a53; --s5: #3d7d2b; --s6: #2a62c0; --s7: #8a6d0b;
  --tone: 40%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8ea; --soft: #9aa4ae; --line: #2d333a; --ground: #14171a; --raised: #1c2024; --accent: #6cc5d2;
    --s0: #a0a9b2; --s1: #4fbccb; --s2: #eb9a55; --s3: #ab94f0; --s4: #ee7d9d; --s5: #86c573; --s6: #7fabf2; --s7: #d3b44c;
    --tone: 66%;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; color: var(--ink); background: var(--ground);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
}
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: clamp(2rem, 7vw, 5rem); }
footer { padding-bottom: 4rem; color: var(--soft); font-size: .875rem; }
h1 { font-size: clamp(1.75rem, 5vw, 2.5rem); line-height: 1.15; letter-spacing: -.02em; font-weight: 650; margin: 0 0 1rem; }
h2 { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; font-weight: 650; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; font-weight: 650; margin: 3rem 0 .75rem; }
p, dd { max-width: 42rem; }
p { margin: 0 0 1rem; }
.lead { font-size: 1.125rem; color: var(--soft); }
a { color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem; }
nav ul { list-style: none; padding: 0; margin: 1.5rem 0 0; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
nav li { min-width: 0; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 4rem; padding-top: 2.5rem; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
dt { font-weight: 650; margin-top: 1.25rem; }
dd { margin: .25rem 0 0; color: var(--soft); }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; align-items: flex-start; }
.pair > .wide { flex: 0 1 auto; min-width: min(27rem, 100%); }
.pair > figure { flex: 1 1 22rem; max-width: 32rem; }
.wide { overflow-x: auto; position: relative; }
.wide + .wide, .pair + .wide, .pair + p { margin-top: 2rem; }
.pair > .wide + .wide { margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: min(26rem, 100%); }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding-bottom: .75rem; }
/* A caption is no wider than the screen, whatever its table is, and stays while the table scrolls. */
caption span { display: block; max-width: min(42rem, 100vw - 2.5rem); position: sticky; left: 0; white-space: normal; }
th, td { padding: .4rem 1.25rem .4rem 0; text-align: left; vertical-align: top; white-space: nowrap; font-weight: 400; }
thead th { color: var(--soft); font-size: .875rem; border-bottom: 1px solid var(--line); vertical-align: bottom; }
tbody th[scope="rowgroup"] { padding-top: 1.25rem; font-weight: 650; }
tbody th[scope="row"] { color: var(--soft); position: sticky; left: 0; background: var(--ground); }
tbody tr.whole > * { border-bottom: 1px solid var(--line); padding-bottom: .75rem; }
td strong { font-weight: 700; }
small { display: block; font-size: .75rem; line-height: 1.35; color: var(--soft); font-weight: 400; white-space: nowrap; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: .875rem; }
.chart { display: block; width: 100%; max-width: 32rem; height: auto; }
.chart text { fill: var(--ink); font-size: 12.5px; font-variant-numeric: tabular-nums; }
.chart .note { fill: var(--soft); }
.chart path, .key path { fill: none; stroke: currentColor; stroke-width: 1.6; }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .axis { stroke: var(--soft); stroke-width: 1; }
.chart .whole, .key.whole path { stroke: var(--ink); stroke-dasharray: 5 4; stroke-width: 1.2; }
.chart .thin path { stroke-width: 1.2; stroke-linejoin: round; }
.mark > * { fill: var(--ground) !important; stroke: currentColor; stroke-width: 1.8 !important; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
.s4 { color: var(--s4); } .s5 { color: var(--s5); } .s6 { color: var(--s6); } .s7 { color: var(--s7); }
.d1 path { stroke-dasharray: 6 3; } .d2 path { stroke-dasharray: 2 2.5; } .d3 path { stroke-dasharray: 9 3 2 3; }
.key { width: 28px; height: 14px; margin-right: .5rem; flex: none; }
.legend { list-style: none; margin: .5rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.legend li { display: flex; align-items: center; color: var(--ink); }
.chart .dots path, .key .dot { stroke: currentColor; stroke-width: 4.5; stroke-linecap: round; }
.key .dot { stroke-width: 9; }
.chart .dots { opacity: .42; }
.whole-mark { color: var(--ink); }
.sortable th button {
  font: inherit; color: inherit; background: none; border: 0; padding: .25rem 0; margin: -.25rem 0; min-height: 1.75rem;
  cursor: pointer; text-align: left;
}
.sortable th button::after { content: "↕"; opacity: .35; padding-left: .25rem; }
.sortable th[aria-sort="ascending"] button::after { content: "↑"; opacity: 1; }
.sortable th[aria-sort="descending"] button::after { content: "↓"; opacity: 1; }
.sortable th button:hover { color: var(--ink); }
th[scope="colgroup"] { color: var(--soft); }
tfoot tr > * { border-top: 1px solid var(--line); padding-top: .6rem; }
tfoot th[scope="row"] { color: var(--soft); position: sticky; left: 0; background: var(--ground); }
details.more { border-top: 1px solid var(--line); }
details.more:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .6rem 0; overflow-wrap: anywhere; }
details.more > div { padding: .5rem 0 1.5rem; }
.confusion th, .confusion td { padding: .25rem .4rem; text-align: right; vertical-align: middle; }
.confusion thead th { vertical-align: bottom; }
.confusion tbody th[scope="row"] {
  padding-left: 0; text-align: left; max-width: 9rem; white-space: normal; overflow-wrap: anywhere;
}
.only { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.confusion td { min-width: 2.2rem; font-size: .8125rem; }
.confusion .right { outline: 1px solid var(--soft); outline-offset: -2px; }
.confusion thead th span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem; text-align: left; }
.gallery th[scope="row"] {
  color: var(--ink); padding-right: 1rem; max-width: 9rem; overflow-wrap: break-word; white-space: normal;
}
.gallery td { padding: .4rem 1.5rem .6rem 0; }
.one small { white-space: normal; max-width: 10.5rem; }
.shown { display: flex; gap: 1rem; }
.one { display: flex; flex-direction: column; gap: 4px; width: max-content; min-width: 10.5rem; }
.one > span, details.start > div > span { display: flex; gap: 4px; }
.one img { height: 4rem; width: auto; display: block; image-rendering: pixelated; background: var(--raised); }
audio { display: block; width: 10.5rem; height: 2.25rem; }
details.start { font-size: .75rem; color: var(--soft); }
details.start summary { padding: .3rem 0; }
details.start > div { display: flex; flex-direction: column; gap: 4px; }
@media (max-width: 40rem) {
  section { margin-top: 3rem; padding-top: 2rem; }
  th, td { padding-right: .9rem; }
  tr.whole th { white-space: normal; max-width: 4rem; }
  .gallery th[scope="row"] { max-width: 5.5rem; font-size: .875rem; }
  .confusion tbody th[scope="row"] { max-width: 5.5rem; }
}
@media print { .wide { overflow: visible; } section { break-inside: auto; } }
"""
    + f"{_CLASSES}\n{_SHADES}\n"
)
