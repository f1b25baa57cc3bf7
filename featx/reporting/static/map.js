/* The maps of a page: the picture of a mark beside it, and one class highlighted. */
(function () {
  'use strict';
  const maps = document.getElementById('maps');
  const tip = maps.querySelector('.tip');
  const sheet = document.getElementById('sprites');
  const drawings = [...maps.querySelectorAll('svg.map')];
  const canvas = document.createElement('canvas');
  const words = document.createElement('span');
  const side = 144;
  const names = [];
  let current = null;

  canvas.width = canvas.height = side;
  if (sheet) tip.appendChild(canvas);
  tip.appendChild(words);
  for (const svg of drawings) {
    [...svg.children].forEach((mark, k) => {
      names[k] = mark.firstChild.textContent;
      mark.firstChild.remove(); // else the browser shows it as well
    });
  }

  function light(k, on) {
    if (k !== null) drawings.forEach((svg) => svg.children[k].classList.toggle('on', on));
  }

  function hide() {
    light(current, false);
    current = null;
    tip.hidden = true;
  }

  function show(mark) {
    light(current, false);
    current = Number(mark.dataset.k);
    light(current, true);
    words.textContent = names[current];
    if (sheet && sheet.complete) {
      const size = Number(sheet.dataset.size);
      const columns = Number(sheet.dataset.columns);
      const left = (current % columns) * size;
      const top = Math.floor(current / columns) * size;
      canvas.getContext('2d').drawImage(sheet, left, top, size, size, 0, 0, side, side);
    }
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const box = maps.getBoundingClientRect();
    let x = at.right - box.left + 8;
    if (x + tip.offsetWidth > box.width) x = at.left - box.left - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(0, Math.min(x, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${at.bottom - box.top + 6}px`;
  }

  function walk(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const step = steps[event.key];
    if (event.key === 'Escape') hide();
    if (!step) return;
    event.preventDefault();
    const marks = event.currentTarget.children;
    const n = marks.length;
    let k = current === null ? -step : current;
    for (let i = 0; i < n; i++) {
      k = (k + step + n) % n;
      if (!marks[k].classList.contains('dim')) break;
    }
    show(marks[k]);
  }

  for (const svg of drawings) {
    svg.addEventListener('pointerover', (event) => {
      if (event.target.dataset.k) show(event.target);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', walk);
  }

  const list = document.getElementById('point-out');
  list.closest('.script').classList.add('ready');
  list.addEventListener('change', () => {
    hide();
    for (const mark of drawings.flatMap((svg) => [...svg.children])) {
      const chosen = list.value !== '';
      mark.classList.toggle('dim', chosen && mark.dataset.c !== list.value);
      mark.classList.toggle('lit', chosen && mark.dataset.c === list.value);
    }
  });
})();
