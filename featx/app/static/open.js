/* A finished run: its images by filter, decisions about them, and what its model says of new ones. */
(function () {
  'use strict';
  const { byId, known } = featx;
  const FILTERS = ['show', 'y', 'y_pred', 'low', 'high', 'fold', 'order', 'named'];
  const WORDS = { right: 'label is right', exclude: 'exclude' };
  const details = new Map(); // number -> what the model says of the image
  const before = []; // what was decided before each change, to be undone
  const tried = [];
  let shown = null; // the image whose details are drawn
  let heated = false;

  const names = featx.classes((name) => decide('relabel', name));
  const view = featx.viewer({
    words(item) {
      if (item.d === 'relabel') return `relabel as ${item.label}`;
      if (item.d === 'group') return `group ${item.label}`;
      return WORDS[item.d] || '';
    },
    guess: (item) => `${item.y_pred} ${featx.percent(item.p)}`,
    why: sentence,
    nothing: 'no decision',
    unread: 'The picture is not there, or cannot be read.',
    empty: () => 'There are no such images.',
    changed: () => drawDetails(),
  });
  const { list, grid } = view;

  function sentence(item) {
    if (item.y === null) return `Predicted ${item.y_pred} (${featx.percent(item.p)}).`;
    if (item.y === item.y_pred) return `Predicted ${item.y_pred} (${featx.percent(item.p)}), which is its label.`;
    return `Predicted ${item.y_pred} (${featx.percent(item.p)}), labelled ${item.y} (${featx.percent(item.p_true)}).`;
  }

  const current = () => view.current();

  const fetchDetails = featx.debounce(async (i) => {
    try {
      details.set(i, await featx.get(`api/about/${i}`));
      drawDetails();
    } catch (error) {
      failed(error);
    }
  }, 120);

  function drawDetails() {
    const item = current();
    byId('heat').disabled = !item;
    for (const id of ['right', 'exclude', 'group', 'none']) byId(id).disabled = !item || item.i < 0;
    if (shown !== (item ? item.i : null)) {
      shown = item ? item.i : null;
      heated = false;
      byId('heat').setAttribute('aria-pressed', 'false');
      byId('heat-words').textContent = '';
    }
    const verdict = byId('verdict');
    verdict.hidden = !item;
    for (const id of ['shares', 'notes', 'nearest']) byId(id).replaceChildren();
    byId('nearest-title').hidden = true;
    names.expect({});
    if (!item) return;
    verdict.textContent = sentence(item);
    const about = item.about || details.get(item.i);
    if (!about) {
      fetchDetails(item.i);
      return;
    }
    byId('shares').append(...about.shares.map(([name, p]) => share(name, p, name === item.y)));
    byId('notes').append(...about.notes.map((text) => featx.make('p', { className: 'note', textContent: text })));
    names.expect(Object.fromEntries(about.shares));
    byId('nearest-title').hidden = about.nearest.length === 0;
    byId('nearest').append(...about.nearest.map(neighbour));
  }

  function share(name, p, labelled) {
    const bar = featx.make('span', { className: 'bar-of' });
    bar.style.width = `${100 * p}%`;
    return featx.make('li', {}, bar,
      featx.make('span', { className: 'name', textContent: labelled ? `${name} (label)` : name }),
      featx.make('span', { className: 'share', textContent: featx.percent(p) }));
  }

  function neighbour(near) {
    const picture = featx.make('img', { src: `picture/small/${near.i}`, alt: near.id, title: near.id });
    picture.addEventListener('error', () => picture.classList.add('broken'));
    return featx.make('li', {}, picture,
      featx.make('span', { textContent: near.label || 'another class' }),
      featx.make('span', { className: 'n', textContent: `similarity ${near.cosine.toFixed(2)}` }));
  }

  async function heat() {
    const item = current();
    if (!item) return;
    if (!view.single()) view.look('single');
    heated = !heated;
    byId('heat').setAttribute('aria-pressed', String(heated));
    if (!heated) {
      byId('heat-words').textContent = '';
      view.instead('');
      return;
    }
    const source = item.i < 0 ? `${item.large}/heat` : `heat/${item.i}`;
    byId('heat-words').textContent = 'Computing …';
    try {
      const response = await fetch(source);
      if (!response.ok) throw new Error((await response.json()).error);
      const words = decodeURIComponent(response.headers.get('x-words'));
      if (!heated || shown !== item.i) return;
      byId('heat-words').textContent = `${words} Red is evidence for the prediction, blue against it.`;
      view.instead(source);
    } catch (error) {
      byId('heat-words').textContent = error.message;
    }
  }

  function failed(error) {
    if (error instanceof TypeError) return; // the server is gone, which the page says
    if (!(error instanceof featx.Refused)) throw error;
    if (error.found.items) heard(error.found);
    featx.say(error.message, true);
  }

  function heard(found) {
    if (found.state) {
      byId('n-decided').textContent = featx.count(found.state.decisions);
      byId('decided-words').textContent = found.state.decisions === 1 ? 'decision' : 'decisions';
    }
    if (found.items) featx.learn(found.items);
  }

  function change(rows, decision, value) {
    featx.learn(rows.map((row) => ({ ...known.get(row), d: decision === 'none' ? null : decision, label: value })));
    return featx.inOrder(async () => {
      const marks = rows.map((row) => known.get(row).mark);
      heard(await featx.post('api/decide', { rows, decision, value, marks }));
    }).catch(failed);
  }

  function decide(decision, value = '') {
    const rows = view.targets().filter((row) => row >= 0 && known.has(row));
    if (!rows.length) return;
    before.push(rows.map((row) => [row, known.get(row).d || 'none', known.get(row).label || '']));
    change(rows, decision, value);
    if (rows.length > 1) featx.say(`${featx.count(rows.length)} images: ${value || WORDS[decision] || decision}`);
    if (view.single()) view.go(view.at() + 1);
    else grid.clear();
  }

  function undo() {
    const last = before.pop();
    if (!last) {
      featx.say('There is nothing to undo.');
      return;
    }
    for (const [row, decision, value] of last) change([row], decision, value);
    featx.say('Undone.');
    const k = list.rows.indexOf(last[0][0]);
    if (k >= 0) view.go(k);
  }

  /* Images that belong together take the name of the first. */
  function group() {
    const rows = view.targets().filter((row) => row >= 0 && known.has(row));
    if (rows.length > 1) decide('group', known.get(rows[0]).id);
    else featx.say('Select at least two images in the grid.', true);
  }

  async function filter() {
    if (byId('show').value === 'tried') {
      view.take('tried', [...tried]);
      return;
    }
    const query = new URLSearchParams();
    for (const id of FILTERS) {
      const percent = id === 'low' || id === 'high';
      const { value } = byId(id);
      if (value !== '') query.set(id, percent ? Number(value) / 100 : value);
    }
    try {
      view.take('rows', (await featx.get(`api/rows?${query}`)).rows);
    } catch (error) {
      failed(error);
    }
  }

  async function attempt(blob, name) {
    featx.say('Predicting …');
    try {
      const found = await featx.send(`api/try?name=${encodeURIComponent(name)}`, blob);
      featx.learn(found.items);
      tried.unshift(found.items[0].i);
      byId('show').querySelector('[value="tried"]').hidden = false;
      byId('show').value = 'tried';
      view.take('tried', [...tried]);
      view.look('single');
      featx.say(sentence(found.items[0]));
    } catch (error) {
      failed(error);
    }
  }

  byId('file').addEventListener('change', () => {
    const [file] = byId('file').files;
    if (file) attempt(file, file.name);
    byId('file').value = '';
  });
  byId('choose').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') byId('file').click();
  });
  const holdsFiles = (event) => [...event.dataTransfer.types].includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    byId('drop').hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) byId('drop').hidden = true;
  });
  document.addEventListener('drop', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    byId('drop').hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) attempt(file, file.name);
  });

  function closeCamera() {
    const { srcObject } = byId('video');
    if (srcObject) for (const track of srcObject.getTracks()) track.stop();
    byId('video').srcObject = null;
    byId('shooting').close();
  }

  async function openCamera() {
    try {
      byId('video').srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      await byId('video').play();
      byId('shooting').showModal();
    } catch (error) {
      featx.say(`The camera cannot be used: ${error.message}`, true);
    }
  }

  function shoot() {
    const video = byId('video');
    const canvas = featx.make('canvas', { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext('2d').drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      closeCamera();
      attempt(blob, `camera ${new Date().toLocaleTimeString()}`);
    }, 'image/png');
  }

  const keys = {
    r: () => decide('right'),
    x: () => decide('exclude'),
    c: () => decide('none'),
    b: group,
    z: undo,
    h: heat,
    '/': () => names.focus(),
    Enter: () => current() && decide('relabel', current().y_pred),
  };
  view.listen((event) => {
    const name = /^[1-9]$/.test(event.key) ? names.nth(Number(event.key) - 1) : null;
    return name ? () => decide('relabel', name) : keys[event.key];
  });
  byId('right').addEventListener('click', keys.r);
  byId('exclude').addEventListener('click', keys.x);
  byId('none').addEventListener('click', keys.c);
  byId('group').addEventListener('click', group);
  byId('undo').addEventListener('click', undo);
  byId('heat').addEventListener('click', heat);
  byId('camera').addEventListener('click', openCamera);
  byId('shoot').addEventListener('click', shoot);
  byId('shot-none').addEventListener('click', closeCamera);
  byId('shooting').addEventListener('close', closeCamera);
  for (const id of FILTERS) byId(id).addEventListener('input', featx.debounce(filter, 200));
  byId('reset').addEventListener('click', () => {
    for (const id of FILTERS) byId(id).value = { show: 'wrong', low: 0, high: 100, order: 'sure' }[id] ?? '';
    filter();
  });

  featx.get('api/state').then(({ state }) => {
    names.set(state.classes);
    heard({ state });
    for (const id of ['y', 'y_pred']) {
      byId(id).append(...state.classes.map((one) =>
        featx.make('option', { value: one.name, textContent: one.name })));
    }
    byId('of-fold').hidden = state.folds.length === 0;
    byId('fold').append(...state.folds.map((f) =>
      featx.make('option', { value: String(f), textContent: `fold ${f + 1}` })));
    if (!state.wrong) byId('show').value = '';
    view.look('single');
    return filter();
  }).catch(failed);
})();
