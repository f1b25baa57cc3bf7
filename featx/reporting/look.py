"""What a report's style adds to that of all pages."""

from __future__ import annotations

from featx.reporting.ink import HUES

__all__ = ["LOOK"]

_HUES = "\n".join(f".h{k} {{ fill: {colour}; }}" for k, colour in enumerate(HUES))

LOOK = (
    """
body { max-width: 76rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }
h4 { font-size: .8rem; font-weight: 600; margin: 0 0 .2rem; overflow-wrap: anywhere; }
nav { font-size: .875rem; margin: 0 0 1rem; }
nav a { color: var(--mark); margin-right: .9rem; display: inline-block; }
.lead { max-width: 60rem; }
.drawings { display: grid; gap: .5rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; min-width: 0; }
.drawings figcaption, .maps figcaption { font-weight: 600; margin-top: .8rem; }
.drawn { display: block; width: 100%; height: auto; max-width: 34rem; }
.wide .drawn { max-width: 46rem; }
.broad { overflow-x: auto; }
.broad .drawn { min-width: 32rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem .9rem; padding: 0;
  margin: .4rem 0; font-size: .875rem; }
.legend li { max-width: 100%; }
.swatch { vertical-align: -2px; }
.script { visibility: hidden; margin: .4rem 0; }
.script.ready { visibility: visible; }
select { font: inherit; max-width: min(16rem, 60vw); }
.maps { position: relative; display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.map { display: block; width: 100%; height: auto; background: var(--panel);
  border: 1px solid var(--line); border-radius: 4px; }
.map path { stroke: var(--paper); stroke-width: 1; opacity: .8; }
.map .plain { fill: var(--soft); opacity: .55; }
.map .wrong { stroke: var(--ink); stroke-width: 3; }
.map .dim { opacity: .08; }
.map .lit { opacity: 1; }
.map .plain.lit { fill: #d55e00; }
.map .on { stroke: var(--ink); stroke-width: 7; opacity: 1; }
#sprites { position: absolute; width: 1px; height: 1px; opacity: 0; pointer-events: none; }
.tip { position: absolute; z-index: 1; width: 164px; padding: 9px; background: var(--paper);
  border: 1px solid var(--soft); border-radius: 4px; font-size: .75rem; line-height: 1.3;
  overflow-wrap: anywhere; pointer-events: none; }
.tip canvas { display: block; width: 144px; height: 144px; margin-bottom: 4px; }
.cards { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); }
.card { border: 1px solid var(--line); border-radius: 4px; padding: .7rem; }
.pair { display: flex; gap: 4px; justify-content: center; margin: 0 0 .5rem; }
.pair img, .pair .gap { display: block; height: 150px; width: auto; max-width: calc(50% - 2px);
  object-fit: contain; }
.pair > :only-child { max-width: 100%; }
.card figcaption { font-size: .875rem; overflow-wrap: anywhere; }
.file { display: block; color: var(--soft); font-size: .75rem; }
.nearest { list-style: none; display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem;
  padding: .5rem 0 0; margin: .5rem 0 0; border-top: 1px solid var(--line); font-size: .75rem;
  line-height: 1.3; }
.nearest li { min-width: 0; }
.nearest img, .nearest .gap { display: block; width: 100%; height: 76px; object-fit: contain;
  object-position: left; }
.gap { background: var(--panel); color: var(--soft); font-size: .75rem; text-align: center;
  padding-top: 1rem; }
.samples { display: grid; gap: .7rem 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.strip { display: flex; gap: 4px; overflow: hidden; }
.strip img { height: 68px; width: auto; min-width: 0; object-fit: contain; }
pre { background: var(--panel); padding: .6rem .8rem; overflow-x: auto; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .875rem; }
td:has(svg) { text-align: left; }
summary { cursor: pointer; color: var(--mark); margin: .5rem 0; }
tr.chosen td { font-weight: 600; background: var(--panel); }
a:focus-visible, summary:focus-visible, select:focus-visible, .map:focus-visible,
.scroll:focus-visible, .broad:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
@media print {
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --panel: #f3f5f7;
    --mark: #0072b2; color-scheme: light; }
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav, .screen, .script, .tip { display: none; }
  figure, .card, tr, .samples > div { break-inside: avoid; }
  h2, h3, figcaption { break-after: avoid; }
  .scroll { overflow: visible; border: 0; }
  .broad { overflow: visible; }
  .broad .drawn { min-width: 0; }
  th, td { white-space: normal; padding: .15rem .3rem; }
}
"""
    + _HUES
)
