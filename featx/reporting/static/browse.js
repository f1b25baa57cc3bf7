/* Every evaluated image: filtered by class, confidence, fold, group and name, or by a click on a cell
   of a confusion matrix. */
(function () {
  'use strict';
  const PAGE = 60; // cards that are made at once
  const place = document.getElementById('browser');
  const { classes, columns, rows } = JSON.parse(document.getElementById('browser-data').textContent);
  const items = rows.map((row) => Object.fromEntries(columns.map((name, k) => [name, row[k]])));
  const grid = featx.make('ul', { className: 'gallery figures' });
  const count = featx.make('strong');
  const more = featx.button('Show more', () => add());
  count.setAttribute('role', 'status');
  let found = [];
  let shown = 0;

  const percent = (p) => `${(100 * p).toFixed(p > 0.995 && p < 1 ? 1 : 0)}\u00a0%`;
  const words = (item) => (item.y === item.y_pred
    ? `${classes[item.y]}, predicted right (${percent(item.p)})`
    : `predicted ${classes[item.y_pred]} (${percent(item.p)}), labelled ${classes[item.y]} `
      + `(${percent(item.p_true)})`);

  function about(item) {
    const { id, sha256 } = item;
    const guess = item.y === item.y_pred ? '' : classes[item.y_pred];
    return { id, sha256, label: classes[item.y], guess, near: item.group || '' };
  }

  function control(text, element) {
    filters.append(featx.make('label', {}, `${text} `, element));
    element.addEventListener('input', update);
    return element;
  }

  function choice(text, pairs) {
    const options = pairs.map(([value, name]) =>
      featx.make('option', { value: String(value), textContent: name }));
    return control(text, featx.make('select', {}, ...options));
  }

  function distinct(name) {
    const values = new Set(items.map((item) => item[name]));
    values.delete(null);
    return [...values].sort((a, b) => String(a).localeCompare(String(b), undefined, { numeric: true }));
  }

  const filters = featx.make('div', { className: 'filters' });
  const named = classes.map((name, code) => [code, name]);
  const which = choice('show', [['wrong', 'mistakes'], ['right', 'right predictions'], ['', 'all']]);
  const actual = choice('true class', [['', 'any'], ...named]);
  const predicted = choice('predicted class', [['', 'any'], ...named]);
  const share = (value) => control(value ? 'to' : 'confidence from', featx.make('input',
    { type: 'number', min: 0, max: 100, value: value || 0, step: 5 }));
  const least = share(0);
  const most = share(100);
  const folds = distinct('fold');
  const fold = folds.length
    ? choice('fold', [['', 'any'], ...folds.map((f) => [f, `fold ${f + 1}`])]) : null;
  const groups = distinct('group');
  const group = groups.length ? control('group', featx.make('input', { type: 'search' })) : null;
  if (group) {
    group.setAttribute('list', 'groups-to-choose');
    filters.append(featx.make('datalist', { id: 'groups-to-choose' },
      ...groups.slice(0, 2000).map((name) => featx.make('option', { value: name }))));
  }
  const name = control('name holds', featx.make('input', { type: 'search' }));
  const order = choice('first', [['sure', 'most confident'], ['unsure', 'least confident'],
    ['name', 'by name']]);
  const reset = featx.button('Reset', () => apply({ which: 'wrong' }));
  filters.append(reset);
  place.append(filters, featx.make('p', {}, count), grid, more);

  function matches(item) {
    const wrong = item.y !== item.y_pred;
    const shareOf = 100 * item.p;
    return (which.value === '' || (which.value === 'wrong') === wrong)
      && (actual.value === '' || item.y === Number(actual.value))
      && (predicted.value === '' || item.y_pred === Number(predicted.value))
      && shareOf >= Number(least.value) && shareOf <= Number(most.value || 100)
      && (!fold || fold.value === '' || item.fold === Number(fold.value))
      && (!group || group.value === ''
        || (item.group || '').toLowerCase().includes(group.value.toLowerCase()))
      && item.id.toLowerCase().includes(name.value.toLowerCase());
  }

  function card(item, k) {
    const made = featx.make('li');
    const caption = words(item);
    const box = featx.make('div', { className: 'pictures' });
    const seen = item.src
      ? featx.make('img', { src: item.src, alt: item.id })
      : featx.make('span', { className: 'gap',
        textContent: item.src === '' ? `cannot be read: ${item.id}` : 'not on this page' });
    seen.title = `${item.id}: ${caption}`;
    box.append(seen);
    featx.enlarge(seen, () => [found.map((other) => (
      { src: other.src, text: `${other.id} — ${words(other)}`, about: about(other) })), k]);
    const lines = [featx.make('p', { textContent: caption }), featx.make('span', { textContent: item.id })];
    if (item.group) lines.push(featx.make('span', { textContent: `group ${item.group}` }));
    made.append(box, ...lines);
    if (featx.decide) made.append(featx.decide(about(item)));
    return made;
  }

  function add() {
    const end = Math.min(found.length, shown + PAGE);
    for (; shown < end; shown++) grid.append(card(found[shown], shown));
    more.hidden = shown >= found.length;
  }

  function update() {
    found = items.filter(matches);
    const by = { sure: (a, b) => b.p - a.p, unsure: (a, b) => a.p - b.p,
      name: (a, b) => a.id.localeCompare(b.id, undefined, { numeric: true }) }[order.value];
    found.sort(by);
    const n = found.length;
    count.textContent = `${n.toLocaleString('en')} of ${items.length.toLocaleString('en')} images`;
    grid.replaceChildren();
    shown = 0;
    add();
  }

  /* Set filters; those that are not named let everything through. */
  function apply({ which: kind = '', y = '', y_pred = '' }) {
    which.value = kind;
    actual.value = String(y);
    predicted.value = String(y_pred);
    least.value = 0;
    most.value = 100;
    name.value = '';
    if (fold) fold.value = '';
    if (group) group.value = '';
    update();
  }

  /* A confusion matrix: its cells lie in the rectangle of the picture that is drawn for it. */
  function clickable(box) {
    const codes = JSON.parse(box.dataset.cells);
    const image = box.querySelector('svg image');
    const figure = box.closest('figure');
    const says = featx.make('p', { className: 'note cell' });
    says.setAttribute('role', 'status');
    says.textContent = 'Click a cell for its images; with the keyboard: arrow keys, then Enter.';
    box.after(says);
    box.tabIndex = 0;
    box.classList.add('matrix');
    const mark = featx.make('div', { className: 'cell-mark', hidden: true });
    figure.append(mark);
    let at = null;

    function point(i, j) {
      at = [i, j];
      const [y, y_pred] = [codes[i], codes[j]];
      const n = items.filter((item) => item.y === y && item.y_pred === y_pred).length;
      says.textContent = `true ${classes[y]}, predicted ${classes[y_pred]}: ${n.toLocaleString('en')} `
        + `image${n === 1 ? '' : 's'}`;
      const area = image.getBoundingClientRect();
      const around = figure.getBoundingClientRect();
      const [wide, high] = [area.width / codes.length, area.height / codes.length];
      Object.assign(mark.style, { left: `${area.left - around.left + j * wide}px`,
        top: `${area.top - around.top + i * high}px`, width: `${wide}px`, height: `${high}px` });
      mark.hidden = false;
    }

    function cellOf(event) {
      const area = image.getBoundingClientRect();
      const j = Math.floor(((event.clientX - area.left) / area.width) * codes.length);
      const i = Math.floor(((event.clientY - area.top) / area.height) * codes.length);
      const inside = [i, j].every((k) => k >= 0 && k < codes.length);
      return inside ? [i, j] : null;
    }

    function go() {
      apply({ y: codes[at[0]], y_pred: codes[at[1]] });
      place.scrollIntoView({ block: 'start' });
    }
    box.addEventListener('pointermove', (event) => {
      const cell = cellOf(event);
      if (cell) point(...cell);
      else mark.hidden = true;
    });
    box.addEventListener('pointerleave', () => { mark.hidden = true; });
    box.addEventListener('click', (event) => {
      const cell = cellOf(event);
      if (cell) {
        point(...cell);
        go();
      }
    });
    box.addEventListener('keydown', (event) => {
      const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (by) {
        event.preventDefault();
        const next = at ? at.map((k, d) => (k + by[d] + codes.length) % codes.length) : [0, 0];
        point(...next);
      } else if (event.key === 'Enter' && at) go();
    });
    box.addEventListener('blur', () => { mark.hidden = true; });
  }

  for (const box of document.querySelectorAll('[data-cells]')) clickable(box);
  place.classList.add('ready');
  apply({ which: 'wrong' });
})();
