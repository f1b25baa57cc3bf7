/* Decisions about images: kept in the browser where it allows that, downloaded as corrections.csv. */
featx.decide = (function () {
  'use strict';
  const place = document.getElementById('decisions');
  const key = `featx corrections: ${JSON.parse(place.dataset.key)}`;
  const classes = JSON.parse(place.dataset.classes);
  const CHOICES = [['', 'decide …'], ['right', 'label is right'], ['relabel', 'relabel as'],
    ['exclude', 'exclude'], ['group', 'group with']];
  const decisions = new Map();
  const bars = new Map(); // id -> what shows its decision
  let kept = true;

  function read() {
    try {
      const found = JSON.parse(localStorage.getItem(key) || '[]');
      for (const [id, decision] of found) decisions.set(id, decision);
    } catch { kept = false; }
  }

  function write() {
    try {
      localStorage.setItem(key, JSON.stringify([...decisions]));
    } catch { kept = false; }
  }

  const list = featx.make('datalist', { id: 'labels-to-choose' },
    ...classes.map((name) => featx.make('option', { value: name })));
  const count = featx.make('strong');
  count.setAttribute('role', 'status');
  const warning = featx.make('span', { className: 'warning' });
  const download = featx.button('Download corrections.csv', () => {
    const rows = [...decisions].map(([id, d]) => [id, d.sha256, d.label, d.decision, d.value]);
    featx.saveTable('corrections.csv', [['id', 'sha256', 'label', 'decision', 'value'], ...rows]);
  });
  const clear = featx.button('Discard all', () => {
    if (clear.textContent === 'Discard all') {
      clear.textContent = 'Really discard?'; // a second click, rather than a dialog of the browser
      setTimeout(() => { clear.textContent = 'Discard all'; }, 4000);
      return;
    }
    clear.textContent = 'Discard all';
    decisions.clear();
    write();
    show();
    bars.forEach((all) => all.forEach((refresh) => refresh()));
  });
  place.append(count, download, clear, warning, list);

  /* A decision that lacks its value is not one yet. */
  function whole(d) {
    return d && (d.value !== '' || !['relabel', 'group'].includes(d.decision));
  }

  function show() {
    const n = decisions.size;
    count.textContent = `${n} decision${n === 1 ? '' : 's'}`;
    download.disabled = clear.disabled = n === 0;
    place.classList.toggle('some', n > 0);
    warning.textContent = kept ? '' : 'This browser keeps them only until the page is closed: '
      + 'download them before.';
  }

  function set(about, decision, value) {
    const made = { sha256: about.sha256, label: about.label, decision, value };
    if (decision && whole(made)) decisions.set(about.id, made);
    else decisions.delete(about.id);
    write();
    show();
  }

  /* The controls of one image; the same image may have them in several places. */
  function bar(about) {
    const choice = featx.make('select', {},
      ...CHOICES.map(([value, text]) => featx.make('option', { value, textContent: text })));
    choice.setAttribute('aria-label', `decision about ${about.id}`);
    const value = featx.make('input', { type: 'text', hidden: true, autocomplete: 'off' });
    const made = featx.make('div', { className: 'decide' }, choice, value);

    function needs(decision) {
      value.hidden = !['relabel', 'group'].includes(decision);
      value.setAttribute('aria-label', decision === 'group' ? 'image or name it belongs with'
        : 'new class');
      if (decision === 'relabel') value.setAttribute('list', 'labels-to-choose');
      else value.removeAttribute('list');
      const odd = decision === 'relabel' && value.value && !classes.includes(value.value);
      value.classList.toggle('odd', Boolean(odd));
      value.title = odd ? 'a class that the data set does not have' : '';
    }

    function refresh() {
      const decision = decisions.get(about.id);
      choice.value = decision ? decision.decision : '';
      value.value = decision ? decision.value : '';
      needs(choice.value);
      made.classList.toggle('decided', Boolean(decision));
    }

    function changed() {
      needs(choice.value);
      set(about, choice.value, value.hidden ? '' : value.value.trim());
      made.classList.toggle('decided', decisions.has(about.id));
      for (const other of bars.get(about.id)) if (other !== refresh) other();
    }
    choice.addEventListener('change', () => {
      value.value = { relabel: about.guess, group: about.near }[choice.value] || '';
      changed();
    });
    value.addEventListener('input', changed);
    value.addEventListener('keydown', (event) => event.stopPropagation()); // arrows stay in the text
    choice.addEventListener('keydown', (event) => event.stopPropagation());
    if (!bars.has(about.id)) bars.set(about.id, new Set());
    bars.get(about.id).add(refresh);
    refresh();
    return made;
  }

  read();
  for (const card of document.querySelectorAll('[data-about]')) {
    card.append(bar(JSON.parse(card.dataset.about)));
  }
  place.classList.add('ready');
  write(); // whether it can be kept is known at once
  show();
  return bar;
})();
