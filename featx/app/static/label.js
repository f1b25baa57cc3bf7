/* Labelling: what is decided about images, what comes next, and how far one has come. */
(function () {
  'use strict';
  const { byId, known } = featx;
  const WORDS = { label: '', skip: 'skipped', unsure: 'cannot tell', exclude: 'excluded' };
  const POLL_MS = 2500;
  const steps = []; // that this page made, to be undone
  let state = { rev: '', classes: [] };
  let choosing = false;

  const names = featx.classes((name) => decide('label', name));
  const view = featx.viewer({
    words: (item) => (item.d === 'label' ? item.label : WORDS[item.d] || ''),
    guess: (item) => (!item.d && item.guess ? `${item.guess}? ${featx.percent(item.p)}` : ''),
    why: (item) => item.reason || '',
    nothing: 'not labelled',
    unread: 'This image cannot be read. Exclude it with x.',
    empty() {
      if (choosing) return 'Choosing images …';
      return view.list.kind === 'batch'
        ? 'Every image has been decided about. Show others above, or export.' : 'There are no such images.';
    },
    changed: () => drawActions(),
  });
  const { list, grid } = view;

  function drawActions() {
    const n = view.targets().length;
    const item = view.current();
    const several = !view.single() && grid.selected.size > 0;
    const offer = byId('accept');
    offer.hidden = several || !item || !item.guess || Boolean(item.d);
    if (!offer.hidden) {
      offer.replaceChildren(`${item.guess} ${featx.percent(item.p)} `,
        featx.make('kbd', { textContent: 'Enter' }));
    }
    byId('alike').firstChild.textContent = several && n > 1 ? `More like these ${n} ` : 'More like this ';
    for (const id of ['alike', 'skip', 'unsure', 'exclude']) byId(id).disabled = n === 0;
    names.expect(item && !item.d && item.shares ? item.shares : {});
  }

  function take(kind, rows) {
    byId('show').querySelector('[value="similar"]').hidden = kind !== 'similar';
    byId('show').value = kind;
    view.take(kind, rows);
  }

  /* The next image of the list that nothing is decided about; then the next batch. */
  function advance() {
    const from = view.at();
    const order = [...list.rows.keys()];
    const open = (k) => !known.get(list.rows[k])?.d;
    const next = [...order.slice(from + 1), ...order.slice(0, from + 1)].find(open);
    if (next !== undefined) view.go(next);
    else if (list.kind === 'batch') nextBatch();
    else featx.say('All of these are decided: n goes on with the next images.');
  }

  function decide(decision, label = null) {
    const rows = view.targets().filter((row) => known.has(row));
    if (!rows.length) return;
    const anew = rows.some((row) => !known.get(row).d);
    featx.learn(rows.map((row) => ({ ...known.get(row), d: decision, label })));
    if (rows.length > 1) featx.say(`${featx.count(rows.length)} images: ${label || WORDS[decision]}`);
    if (!view.single()) grid.clear();
    featx.inOrder(async () => {
      const marks = rows.map((row) => known.get(row).mark);
      const found = await featx.post('api/decide', { rows, decision, label, marks });
      steps.push(found.step);
      heard(found);
    }).catch(failed);
    if (anew || list.kind === 'batch') advance(); // after it: the next batch is to know of it
  }

  function failed(error) {
    if (error instanceof TypeError) return; // the server is gone, which the page says
    if (!(error instanceof featx.Refused)) throw error;
    if (error.found.items) heard(error.found);
    featx.say(error.message, true);
  }

  /* What came back with an answer: images as they are now, and the state of the whole. */
  function heard(found) {
    if (found.state) {
      state = found.state;
      drawState();
    }
    if (found.items) featx.learn(found.items);
  }

  function undo() {
    featx.inOrder(async () => {
      const found = await featx.post('api/undo', { step: steps.pop() || null });
      heard(found);
      featx.say(found.said);
      const k = found.items.length ? list.rows.indexOf(found.items[0].i) : -1;
      if (k >= 0) view.go(k);
    }).catch(failed);
  }

  function nextBatch() {
    if (choosing) return;
    choosing = true;
    take('batch', []);
    featx.inOrder(async () => {
      try {
        const found = await featx.post('api/next', {});
        choosing = false;
        heard(found);
        take('batch', found.rows);
      } finally {
        choosing = false;
        view.draw();
      }
    }).catch(failed);
  }

  function similar() {
    const rows = view.targets();
    if (!rows.length) return;
    featx.inOrder(async () => {
      const found = await featx.post('api/similar', { rows });
      heard(found);
      take('similar', found.rows);
      view.look('grid');
      featx.say(`${found.rows.length} images, the most similar first: select and label them.`);
    }).catch(failed);
  }

  async function filter() {
    const show = byId('show').value;
    const named = byId('named').value;
    if (show === 'batch' && !named) {
      nextBatch();
      return;
    }
    const kind = show === 'batch' || show === 'similar' ? 'all' : show;
    try {
      const query = new URLSearchParams({ show: kind, named });
      take(kind, (await featx.get(`api/rows?${query}`)).rows);
      view.look('grid', { focus: false });
    } catch (error) {
      failed(error);
    }
  }

  function drawState() {
    const { counts, classes } = state;
    names.set(classes);
    const show = byId('show');
    const chosen = show.value;
    show.querySelectorAll('.of-class').forEach((old) => old.remove());
    for (const one of classes) {
      show.append(featx.make('option', { className: 'of-class', value: `=${one.name}`,
        textContent: `labelled ${one.name} (${featx.count(one.n)})` }));
    }
    show.value = chosen;
    byId('n-labelled').textContent = featx.count(counts.label);
    byId('n-words').textContent = `of ${featx.count(counts.images)} labelled`;
    const done = counts.label + counts.skip + counts.unsure + counts.exclude;
    featx.attributes(byId('meter'), { 'aria-valuemax': String(counts.images), 'aria-valuenow': String(done) });
    byId('meter').firstElementChild.style.width = `${(100 * done) / Math.max(1, counts.images)}%`;
    const parts = [['skip', 'skipped'], ['unsure', 'cannot tell'], ['exclude', 'excluded'],
      ['unreadable', 'cannot be read']];
    byId('tallies').textContent = parts.filter(([key]) => counts[key])
      .map(([key, text]) => `${featx.count(counts[key])} ${text}`).join(' · ');
    drawProgress(state.progress);
  }

  function drawProgress({ estimate, stop, sentence, found, curve }) {
    const place = byId('estimate');
    place.replaceChildren();
    if (estimate.value) {
      place.append(featx.make('p', { className: 'score' },
        featx.make('strong', { textContent: estimate.value }), ` ${estimate.metric}`,
        featx.make('span', { className: 'interval', textContent: estimate.interval })));
    }
    place.append(featx.make('p', { className: 'note', textContent: estimate.words }));
    if (found) place.append(featx.make('p', { className: 'note', textContent: found }));
    byId('stop').hidden = !stop;
    byId('stop').textContent = stop || '';
    byId('sentence').textContent = sentence || '';
    const figure = byId('curve');
    figure.querySelector('figcaption').textContent = curve.title;
    featx.curve(figure, curve.series, curve.words);
  }

  async function poll() {
    if (document.visibilityState === 'visible') {
      await featx.get(`api/state?rev=${state.rev}`).then(heard).catch(failed);
    }
    setTimeout(poll, POLL_MS);
  }

  function accept() {
    const item = view.current();
    if (item && item.guess && !item.d && !grid.selected.size) decide('label', item.guess);
  }

  const keys = {
    s: () => decide('skip'),
    u: () => decide('unsure'),
    x: () => decide('exclude'),
    z: undo,
    m: similar,
    n: nextBatch,
    '/': () => names.focus(),
    Enter: accept,
  };
  view.listen((event) => {
    const name = /^[1-9]$/.test(event.key) ? names.nth(Number(event.key) - 1) : null;
    return name ? () => decide('label', name) : keys[event.key];
  });

  function write() {
    featx.inOrder(async () => {
      const found = await featx.post('api/export', {});
      byId('exported-title').textContent = found.said;
      byId('exported-command').textContent = found.command;
      byId('exported').showModal();
    }).catch(failed);
  }

  byId('export').addEventListener('click', write);
  byId('undo').addEventListener('click', undo);
  byId('accept').addEventListener('click', accept);
  byId('alike').addEventListener('click', similar);
  for (const id of ['skip', 'unsure', 'exclude']) byId(id).addEventListener('click', () => decide(id));
  byId('show').addEventListener('change', filter);
  byId('named').addEventListener('input', featx.debounce(filter, 250));

  featx.get('api/state?rev=').then((found) => {
    heard(found);
    nextBatch();
    view.look('single');
  }).catch(failed);
  setTimeout(poll, POLL_MS);
})();
