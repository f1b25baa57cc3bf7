"""The look of a page: light and dark, wide and narrow, telling nothing by colour alone."""

from __future__ import annotations

__all__ = ["STYLE"]

# Blue and grey of Okabe and Ito ("Color universal design", 2008): told apart by all eyes, and
# the marks differ in shape as well.
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff;
  --line: #d0d7de; --panel: #f3f5f7; --mark: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9da7b3; --paper: #0f1318; --line: #30363d;
    --panel: #181e25; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: .2rem 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
.verdict { background: var(--panel); border-left: 4px solid var(--mark); margin: 0 0 .6rem;
  padding: .6rem .8rem; font-size: 1.05rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; vertical-align: top; white-space: nowrap;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; background: var(--panel); }
th.word, td.word { text-align: left; white-space: normal; min-width: 11rem; max-width: 22rem;
  overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: .875rem; margin: .4rem 0 0; }
.plot { display: block; width: 100%; max-width: 32rem; }
.plot text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.plot .number { fill: var(--ink); font-weight: 600; font-size: 13px; }
.plot .grid { stroke: var(--line); }
.plot .error { stroke: var(--soft); stroke-width: 1.5; }
.plot .best { fill: var(--mark); stroke: var(--paper); }
.plot .beaten { fill: var(--paper); stroke: var(--soft); stroke-width: 2; }
.plot .front { fill: none; stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; }
"""
