/* Operating points: the slider picks a row of the table, and marks its point on the curves. */
(function () {
  'use strict';
  function place(mark, x, y) {
    const known = x !== undefined && y !== undefined;
    mark.style.display = known ? '' : 'none';
    if (!known) return;
    mark.setAttribute('cx', 100 * Number(x));
    mark.setAttribute('cy', 100 - 100 * Number(y));
  }

  for (const part of document.querySelectorAll('.operating')) {
    const slide = part.querySelector('.slide');
    const range = slide.querySelector('input');
    const rows = [...part.querySelectorAll('tbody tr')];

    function show() {
      const row = rows[Number(range.value)];
      for (const other of rows) other.classList.toggle('on', other === row);
      slide.querySelector('.now').textContent = row.dataset.words;
      const flag = slide.querySelector('.flag');
      flag.textContent = row.dataset.flag;
      flag.hidden = !row.dataset.flag;
      range.setAttribute('aria-valuetext', row.cells[0].textContent);
      const { recall, precision, alarms } = row.dataset;
      place(slide.querySelector('.pr-mark'), recall, precision);
      place(slide.querySelector('.roc-mark'), alarms, recall);
    }

    rows.forEach((row, k) => {
      row.addEventListener('click', () => {
        range.value = k;
        show();
      });
    });
    range.addEventListener('input', show);
    slide.classList.add('ready');
    show();
  }
})();
