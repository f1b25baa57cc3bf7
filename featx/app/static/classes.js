/* The list of classes: the first nine have keys, the rest are searched, and a new name makes one. */
featx.classes = function classes(choose) {
  'use strict';
  const field = featx.byId('class');
  const list = featx.byId('names');
  let all = []; // {name, n}
  let shown = [];
  let at = 0;
  let shares = {};

  function rank(name, typed) {
    const low = name.toLowerCase();
    if (low === typed) return 0;
    if (low.startsWith(typed)) return 1;
    return low.includes(typed) ? 2 : 3;
  }

  function find() {
    const typed = field.value.trim().toLowerCase();
    const found = all.map((one, k) => ({ ...one, k, rank: typed ? rank(one.name, typed) : 0 }))
      .filter((one) => one.rank < 3);
    if (typed) found.sort((a, b) => a.rank - b.rank || a.k - b.k);
    const exact = found.some((one) => one.name === field.value.trim());
    return typed && !exact ? [...found, { name: field.value.trim(), made: true }] : found;
  }

  function option(one, k) {
    const made = featx.make('li', { id: `name-${k}` });
    featx.attributes(made, { role: 'option', 'aria-selected': String(Boolean(field.value) && k === at) });
    if (one.made) {
      made.className = 'made';
      made.append(featx.make('span', { className: 'name', textContent: `new class “${one.name}”` }),
        featx.make('kbd', { textContent: 'Shift Enter' }));
    } else {
      const key = featx.make('kbd', { textContent: one.k < 9 ? String(one.k + 1) : '' });
      const share = shares[one.name];
      made.append(key, featx.make('span', { className: 'name', textContent: one.name, title: one.name }));
      if (share !== undefined) {
        made.append(featx.make('span', { className: 'share', textContent: featx.percent(share),
          title: 'what the model expects' }));
      }
      made.append(featx.make('span', { className: 'n', textContent: featx.count(one.n),
        title: 'images labelled so' }));
    }
    made.addEventListener('click', () => pick(one));
    return made;
  }

  function draw() {
    shown = find();
    at = Math.min(at, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map(option));
    if (!all.length && !shown.length) {
      list.append(featx.make('li', { className: 'empty',
        textContent: 'No class yet. Type a name and press Enter: it labels this image.' }));
    }
    featx.attributes(field, { 'aria-activedescendant': field.value && shown.length ? `name-${at}` : null });
    const marked = list.querySelector('[aria-selected="true"]');
    if (marked) marked.scrollIntoView({ block: 'nearest' });
  }

  function leave() {
    field.value = '';
    at = 0;
    field.blur();
    draw();
  }

  function pick(one) {
    leave();
    choose(one.name);
  }

  field.addEventListener('input', () => {
    at = 0;
    draw();
  });
  field.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      at = (at + by + shown.length) % Math.max(1, shown.length);
      draw();
    } else if (event.key === 'Escape') leave();
    else if (event.key === 'Enter') {
      const name = field.value.trim();
      if (!name) return;
      if (event.shiftKey) pick(all.find((one) => one.name === name) || { name });
      else if (shown[at]) pick(shown[at]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  featx.byId('search').addEventListener('submit', (event) => event.preventDefault());

  return {
    focus() {
      field.focus();
      field.select();
    },
    nth: (k) => (k < Math.min(9, all.length) ? all[k].name : null),
    set(found) {
      all = found;
      draw();
    },
    expect(found) {
      shares = found;
      draw();
    },
  };
};
