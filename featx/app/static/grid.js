/* A grid of images of which only those in view exist, so that a hundred thousand scroll. */
featx.grid = function grid(place, actions) {
  'use strict';
  const { card, open, moved } = actions;
  const HIGHEST = 8e6; // px; browsers draw nothing beyond about 16 million
  const WIDTH = 168;
  const CAPTION = 46;
  const sheet = featx.make('div', { className: 'sheet' });
  place.append(sheet);
  featx.attributes(place, { role: 'listbox', tabindex: '0', 'aria-multiselectable': 'true',
    'aria-label': 'Images' });
  const cells = new Map(); // place in the list -> element
  const selected = new Set();
  let rows = [];
  let cursor = 0;
  let anchor = 0;
  let columns = 1;
  let cell = { width: WIDTH, height: WIDTH + CAPTION };

  const lines = () => Math.ceil(rows.length / columns);
  const whole = () => lines() * cell.height;
  const drawn = () => Math.min(whole(), HIGHEST);
  /* Where the list is scrolled to, in its own pixels: more than the sheet has where it is cut. */
  function ratio() {
    const view = place.clientHeight;
    return whole() > drawn() ? (whole() - view) / (drawn() - view) : 1;
  }

  function measure() {
    const width = place.clientWidth;
    if (!width) return;
    columns = Math.max(2, Math.floor(width / WIDTH));
    cell = { width: width / columns, height: Math.round(width / columns) + CAPTION };
    sheet.style.height = `${drawn()}px`;
    for (const element of cells.values()) element.remove();
    cells.clear();
    draw();
  }

  function draw() {
    if (!place.clientHeight) return;
    const top = place.scrollTop * ratio();
    const first = Math.max(0, Math.floor(top / cell.height) - 1);
    const last = Math.min(lines(), Math.ceil((top + place.clientHeight) / cell.height) + 1);
    const [from, to] = [first * columns, Math.min(rows.length, last * columns)];
    for (const [k, element] of cells) {
      if (k < from || k >= to) {
        element.remove();
        cells.delete(k);
      }
    }
    for (let k = from; k < to; k++) {
      if (!cells.has(k)) {
        const element = featx.make('div', { className: 'cell' });
        featx.attributes(element, { role: 'option', id: `cell-${k}`,
          'aria-setsize': String(rows.length), 'aria-posinset': String(k + 1) });
        element.dataset.k = String(k);
        cells.set(k, element);
        sheet.append(element);
      }
      put(k, top);
    }
    featx.want(rows.slice(from, to));
    update();
  }

  function put(k, top) {
    const element = cells.get(k);
    const y = Math.floor(k / columns) * cell.height - top + place.scrollTop;
    element.style.transform = `translate(${(k % columns) * cell.width}px, ${y}px)`;
    element.style.width = `${cell.width}px`;
    element.style.height = `${cell.height}px`;
  }

  function update() {
    for (const [k, element] of cells) {
      const item = featx.known.get(rows[k]);
      const on = selected.has(rows[k]);
      featx.attributes(element, { 'aria-selected': String(on) });
      element.classList.toggle('cursor', k === cursor);
      if (item) card(element, item);
    }
    if (rows.length) place.setAttribute('aria-activedescendant', `cell-${cursor}`);
    else place.removeAttribute('aria-activedescendant');
  }

  function show(k) {
    const line = Math.floor(k / columns);
    const top = place.scrollTop * ratio();
    let wanted = null;
    if (line * cell.height < top) wanted = line * cell.height;
    else if ((line + 1) * cell.height > top + place.clientHeight) {
      wanted = (line + 1) * cell.height - place.clientHeight;
    }
    if (wanted !== null) place.scrollTop = wanted / ratio();
  }

  function range(a, b) {
    for (let k = Math.min(a, b); k <= Math.max(a, b); k++) selected.add(rows[k]);
  }

  function move(to, extend) {
    if (!rows.length) return;
    cursor = Math.min(rows.length - 1, Math.max(0, to));
    if (extend) range(anchor, cursor);
    else anchor = cursor;
    show(cursor);
    draw();
    moved();
  }

  function toggle(k) {
    if (!selected.delete(rows[k])) selected.add(rows[k]);
    cursor = anchor = k;
    update();
    moved();
  }

  place.addEventListener('scroll', draw, { passive: true });
  place.addEventListener('click', (event) => {
    const element = event.target.closest('.cell');
    if (!element) return;
    const k = Number(element.dataset.k);
    if (event.shiftKey) move(k, true);
    else toggle(k);
  });
  place.addEventListener('dblclick', (event) => {
    const element = event.target.closest('.cell');
    if (element) open(Number(element.dataset.k));
  });
  place.addEventListener('keydown', (event) => {
    const page = columns * Math.max(1, Math.floor(place.clientHeight / cell.height));
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns,
      PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined && !event.ctrlKey && !event.metaKey) move(cursor + by, event.shiftKey);
    else if (event.key === ' ') toggle(cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  new ResizeObserver(featx.debounce(measure, 60)).observe(place);
  featx.onChange(update);

  return {
    selected,
    at: () => cursor,
    move,
    update,
    measure,
    list(found, at = 0) {
      rows = found;
      cursor = anchor = at;
      selected.clear();
      place.scrollTop = 0;
      measure();
      if (at) show(at);
    },
    selectAll() {
      const [first, last] = [Math.min(...cells.keys()), Math.max(...cells.keys())];
      if (cells.size) range(first, last);
      update();
      moved();
    },
    clear() {
      selected.clear();
      update();
      moved();
    },
  };
};
