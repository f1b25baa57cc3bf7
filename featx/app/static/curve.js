/* The score by the number of labels, of images that were chosen and of images drawn at random. */
featx.curve = function curve(figure, series, words) {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  const [W, H, LEFT, BOTTOM, TOP, RIGHT] = [320, 170, 40, 24, 8, 10];

  function draw(tag, values, text) {
    const made = featx.attributes(document.createElementNS(SVG, tag), values);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const points = series.flatMap((one) => one.points);
  figure.querySelectorAll('svg, .legend').forEach((old) => old.remove());
  figure.hidden = points.length === 0;
  if (figure.hidden) return;
  const most = Math.max(1, ...points.map((p) => p.n));
  const values = points.flatMap((p) => [p.value, p.low, p.high]).filter((v) => v !== null);
  const floor = Math.max(0, Math.floor(10 * Math.min(...values)) / 10);
  const x = (n) => LEFT + ((W - LEFT - RIGHT) * n) / most;
  const y = (v) => TOP + ((H - TOP - BOTTOM) * (1 - v)) / Math.max(1e-9, 1 - floor);
  const svg = draw('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': words });
  for (const v of [floor, (1 + floor) / 2, 1]) {
    svg.append(draw('path', { d: `M${LEFT} ${y(v)}H${W - RIGHT}`, class: 'line' }),
      draw('text', { x: LEFT - 5, y: y(v) + 3.5, 'text-anchor': 'end' }, `${Math.round(100 * v)} %`));
  }
  for (const n of [0, Math.round(most / 2), most]) {
    svg.append(draw('text', { x: x(n), y: H - 8, 'text-anchor': n === most ? 'end' : 'middle' },
      featx.count(n)));
  }
  for (const one of series) {
    const line = one.points.map((p) => `${x(p.n).toFixed(1)} ${y(p.value).toFixed(1)}`);
    const banded = one.points.filter((p) => p.low !== null && p.high !== null);
    if (banded.length > 1) {
      const up = banded.map((p) => `${x(p.n).toFixed(1)} ${y(Math.min(1, p.high)).toFixed(1)}`);
      const down = banded.map((p) => `${x(p.n).toFixed(1)} ${y(Math.max(floor, p.low)).toFixed(1)}`);
      svg.append(draw('path', { d: `M${up.join('L')}L${down.toReversed().join('L')}Z`, class: `band ${one.kind}` }));
    }
    if (line.length) svg.append(draw('path', { d: `M${line.join('L')}`, class: `run ${one.kind}` }));
    for (const p of one.points.slice(-1)) {
      svg.append(draw('circle', { cx: x(p.n), cy: y(p.value), r: 3, class: `end ${one.kind}` }));
    }
  }
  const legend = featx.make('p', { className: 'legend' }, ...series.map((one) =>
    featx.make('span', { className: one.kind, textContent: one.name })));
  figure.append(svg, legend);
};
