/* A list of images, one at a time or as a grid, on the elements that both pages have. */
featx.viewer = function viewer(page) {
  'use strict';
  const { byId, known } = featx;
  const list = { kind: '', rows: [], at: 0 };
  let view = 'single';
  let other = ''; // what is shown in the place of the picture, such as its heat map

  const zoom = featx.zoom(byId('frame'), byId('picture'));
  const grid = featx.grid(byId('grid'), {
    card: drawCard,
    open(k) {
      list.at = k;
      look('single');
    },
    moved: page.changed,
  });

  const smallOf = (item) => item.small || `picture/small/${item.i}`;
  const largeOf = (item) => item.large || `picture/large/${item.i}`;

  function drawCard(cell, item) {
    const { picture, name, mark } = cell.parts || build(cell);
    const source = smallOf(item);
    if (picture.getAttribute('src') !== source) {
      picture.classList.remove('broken');
      picture.src = source;
    }
    const words = page.words(item) || page.guess(item);
    name.textContent = featx.fileOf(item.id);
    mark.textContent = words;
    cell.title = item.id;
    cell.dataset.d = item.d || '';
    cell.setAttribute('aria-label', `${item.id}, ${words || page.nothing}`);
  }

  function build(cell) {
    const picture = featx.make('img', { alt: '', decoding: 'async', draggable: false });
    const [name, mark] = ['file', 'mark'].map((kind) => featx.make('span', { className: kind }));
    picture.addEventListener('error', () => picture.classList.add('broken'));
    picture.addEventListener('load', () => picture.classList.toggle('pixels', picture.naturalWidth < 64));
    cell.append(picture, mark, name);
    cell.parts = { picture, name, mark };
    return cell.parts;
  }

  function drawSingle() {
    const item = known.get(list.rows[list.at]);
    const picture = byId('picture');
    const none = list.rows.length === 0;
    byId('frame').classList.toggle('none', none);
    if (none) {
      picture.removeAttribute('src');
      byId('unread').hidden = false;
      byId('unread').textContent = page.empty();
      byId('why').textContent = byId('where').textContent = byId('state').textContent = '';
    }
    if (!item) return;
    const source = other || largeOf(item);
    if (picture.getAttribute('src') !== source) {
      picture.src = source;
      if (!other) zoom.whole();
      for (const row of list.rows.slice(list.at + 1, list.at + 3)) {
        if (row >= 0) new Image().src = `picture/large/${row}`;
      }
    }
    picture.alt = item.id;
    byId('why').textContent = page.why(item);
    byId('where').textContent = `${featx.count(list.at + 1)} of ${featx.count(list.rows.length)} · ${item.id}`;
    byId('where').title = item.id;
    byId('state').textContent = page.words(item);
    byId('state').dataset.d = item.d || '';
  }

  byId('picture').addEventListener('error', () => {
    if (!byId('picture').getAttribute('src')) return;
    byId('unread').hidden = false;
    byId('unread').textContent = page.unread;
  });
  byId('picture').addEventListener('load', () => { byId('unread').hidden = true; });

  function draw() {
    byId('single').hidden = view !== 'single';
    byId('grid').hidden = view !== 'grid';
    byId('to-single').setAttribute('aria-pressed', String(view === 'single'));
    byId('to-grid').setAttribute('aria-pressed', String(view === 'grid'));
    if (view === 'single') drawSingle();
    else grid.update();
    page.changed();
  }
  featx.onChange(draw);

  const at = () => (view === 'single' ? list.at : grid.at());

  function look(wanted, { focus = true } = {}) {
    if (view === 'grid' && wanted === 'single' && !known.has(list.rows[list.at])) list.at = grid.at();
    view = wanted;
    other = '';
    byId('grid').hidden = view !== 'grid';
    if (view === 'grid') grid.list(list.rows, list.at);
    else featx.want(list.rows.slice(list.at, list.at + 3));
    draw();
    if (focus) byId(view === 'grid' ? 'grid' : 'frame').focus();
  }

  function take(kind, rows) {
    Object.assign(list, { kind, rows, at: 0 });
    other = '';
    zoom.whole();
    grid.list(rows, 0);
    featx.want(rows.slice(0, 40));
    draw();
  }

  function go(to) {
    if (!list.rows.length) return;
    other = '';
    if (view === 'grid') {
      grid.move(to, false);
      return;
    }
    list.at = Math.min(list.rows.length - 1, Math.max(0, to));
    featx.want(list.rows.slice(list.at, list.at + 3));
    draw();
  }

  function arrow(dx) {
    if (view === 'single' && zoom.zoomed()) zoom.pan(dx, 0);
    else go(at() + dx);
  }

  const toggle = () => {
    if (view === 'grid') list.at = grid.at();
    look(view === 'grid' ? 'single' : 'grid');
  };
  const keys = {
    g: toggle,
    '?': () => featx.keys.showModal(),
    '+': zoom.in,
    '=': zoom.in,
    '-': zoom.out,
    0: zoom.whole,
    a: () => view === 'grid' && grid.selectAll(),
    Escape: () => (view === 'grid' ? grid.clear() : zoom.whole()),
    ArrowRight: () => arrow(1),
    ArrowLeft: () => arrow(-1),
    ArrowDown: () => zoom.zoomed() && zoom.pan(0, 1),
    ArrowUp: () => zoom.zoomed() && zoom.pan(0, -1),
  };

  /* Keys of the page and of the viewer; inside a field they write, and Esc leaves it. */
  function listen(own) {
    document.addEventListener('keydown', (event) => {
      if (event.isComposing || featx.isTyping(event)) {
        if (event.key === 'Escape' && !event.target.closest('dialog')) event.target.blur();
        return;
      }
      const undoing = (event.ctrlKey || event.metaKey) && event.key === 'z';
      if ((event.ctrlKey || event.metaKey || event.altKey) && !undoing) return;
      if (event.key === 'Enter' && event.target.closest('button, a')) return; // it presses that
      const action = own(event) || keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
  }

  byId('to-single').addEventListener('click', () => view === 'single' || toggle());
  byId('to-grid').addEventListener('click', () => view === 'grid' || toggle());
  byId('help').addEventListener('click', keys['?']);
  byId('back').addEventListener('click', () => go(list.at - 1));
  byId('on').addEventListener('click', () => go(list.at + 1));

  return {
    list,
    grid,
    at,
    draw,
    go,
    look,
    listen,
    take,
    single: () => view === 'single',
    current: () => known.get(list.rows[at()]),
    /* Show another picture of the same image, such as its heat map; empty for the image itself. */
    instead(source) {
      other = source;
      draw();
    },
    targets() {
      if (view === 'grid' && grid.selected.size) return [...grid.selected];
      return list.rows.slice(at(), at() + 1);
    },
  };
};
