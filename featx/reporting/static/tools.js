/* What the scripts of a page share; tables that sort, are searched and downloaded; figures as PNG. */
// oxlint-disable-next-line no-unused-vars -- the scripts after it use it
const featx = (function () {
  'use strict';
  const RISKY = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', "'"];
  const SEARCHED = 8; // rows that a table must have to be worth searching

  /* An element with text, never markup: names may hold anything. */
  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function button(text, action, label) {
    const made = make('button', { type: 'button', textContent: text });
    if (label) made.setAttribute('aria-label', label);
    made.addEventListener('click', action);
    return made;
  }

  /* As featx/formats/csv.py writes a cell: no spreadsheet takes it for a formula. */
  function cell(value) {
    if (value === null || value === undefined) return '';
    if (typeof value === 'number') return String(value);
    const text = RISKY.some((start) => value.startsWith(start)) ? `'${value}` : value;
    return /[,;"\t\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function csv(rows) {
    return rows.map((row) => `${row.map(cell).join(',')}\n`).join('');
  }

  /* UTF-8, and the bytes of file names that are not (surrogates U+DC80 to U+DCFF) as they are. */
  function bytes(text) {
    const parts = text.split(/([\udc80-\udcff])/u);
    const encoder = new TextEncoder();
    return parts.map((part, k) =>
      k % 2 ? UInt8Array.of(part.charCodeAt(0) - 0xdc00) : encoder.encode(part));
  }

  function save(name, blob) {
    const link = make('a', { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function saveTable(name, rows) {
    save(name, new Blob(bytes(csv(rows)), { type: 'text/csv' }));
  }

  function copy(text, clicked) {
    const before = clicked.textContent;
    const said = (words) => {
      clicked.textContent = words;
      setTimeout(() => { clicked.textContent = before; }, 1500);
    };
    const byHand = () => {
      const area = make('textarea', { value: text });
      clicked.after(area);
      area.select();
      const done = document.execCommand('copy');
      area.remove();
      said(done ? 'copied' : 'not allowed');
    };
    if (!navigator.clipboard) byHand();
    else navigator.clipboard.writeText(text).then(() => said('copied'), byHand);
  }

  /* A name for a file from what stands above. */
  function fileName(element, kind) {
    const section = element.closest('section');
    const all = [...document.querySelectorAll(`section ${kind}`)];
    const number = all.filter((other) => other.closest('section') === section).indexOf(element) + 1;
    return `${section ? section.id : 'table'}${number > 1 ? `-${number}` : ''}`;
  }

  /* The number that a cell begins with, if it holds one alone or with an interval or a unit. */
  function valueOf(td) {
    const text = td.textContent.trim().replaceAll('−', '-');
    const found = /^([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?: ?[%s]| \[.*\])?$/.exec(text);
    return found ? Number(found[1].replaceAll(',', '')) : text;
  }

  /* Numbers first, by size; then text, in which digits count as numbers; what is empty last. */
  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const sort = button('', () => {
        const up = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', up > 0 ? 'ascending' : 'descending');
        const body = table.tBodies[0];
        const blank = (row) => ['', '–'].includes(row.cells[column].textContent.trim());
        const rows = [...body.rows].sort((a, b) => blank(a) - blank(b)
          || up * compare(valueOf(a.cells[column]), valueOf(b.cells[column])));
        body.append(...rows);
      });
      sort.className = 'sort';
      sort.append(...head.childNodes);
      const term = sort.querySelector('abbr');
      if (term) term.removeAttribute('tabindex'); // the button takes the focus
      head.append(sort);
    });
  }

  function tableRows(table) {
    const text = (td) => {
      const shown = td.textContent.trim().replaceAll('−', '-');
      return /^[\d,.e+-]+$/.test(shown) ? valueOf(td) : shown;
    };
    const kept = [...table.tHead.rows[0].cells].map((_, k) =>
      [...table.rows].some((row) => row.cells[k].textContent.trim()));
    return [...table.rows].filter((row) => !row.hidden)
      .map((row) => [...row.cells].filter((_, k) => kept[k]).map(text));
  }

  function tools(table) {
    const around = table.closest('.scroll');
    const name = fileName(table, 'table');
    const bar = make('div', { className: 'tools' });
    const rows = [...table.tBodies[0].rows];
    if (rows.length >= SEARCHED) {
      const count = make('span', { className: 'count' });
      count.setAttribute('role', 'status');
      const search = make('input', { type: 'search', placeholder: `search ${rows.length} rows` });
      search.setAttribute('aria-label', 'search the table');
      search.addEventListener('input', () => {
        const wanted = search.value.toLowerCase();
        let n = 0;
        for (const row of rows) {
          row.hidden = !row.textContent.toLowerCase().includes(wanted);
          n += !row.hidden;
        }
        count.textContent = wanted ? `${n} of ${rows.length}` : '';
      });
      bar.append(search, count);
    }
    const copied = button('Copy', () => copy(csv(tableRows(table)), copied), 'copy the table as CSV');
    bar.append(copied, button('CSV', () => saveTable(`${name}.csv`, tableRows(table)),
      'download the table as CSV'));
    around.before(bar);
    sortable(table);
  }

  /* The drawing as it looks here: colours of the page are written into the copy. */
  function standalone(svg) {
    const copied = svg.cloneNode(true);
    const from = [svg, ...svg.querySelectorAll('*')];
    const to = [copied, ...copied.querySelectorAll('*')];
    const kept = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity',
      'font-size', 'font-family', 'font-weight', 'text-anchor'];
    from.forEach((element, k) => {
      const style = getComputedStyle(element);
      for (const property of kept) to[k].style.setProperty(property, style.getPropertyValue(property));
    });
    return copied;
  }

  function savePicture(svg, name) {
    const { width, height } = svg.viewBox.baseVal;
    const scale = Math.max(1, 1600 / width);
    const copied = standalone(svg);
    copied.setAttribute('width', width * scale);
    copied.setAttribute('height', height * scale);
    const image = new Image();
    image.addEventListener('load', () => {
      const canvas = make('canvas', { width: width * scale, height: height * scale });
      const context = canvas.getContext('2d');
      context.fillStyle = getComputedStyle(document.body).backgroundColor;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(`${name}.png`, blob));
    });
    const text = new XMLSerializer().serializeToString(copied);
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  for (const table of document.querySelectorAll('.scroll > table')) tools(table);
  document.querySelectorAll('figure').forEach((figure, k) => {
    const svg = figure.querySelector('svg');
    if (!svg) return;
    const name = figure.dataset.name || `map-${k + 1}`;
    const bar = make('div', { className: 'tools' },
      button('PNG', () => savePicture(svg, name), `download the figure ${name} as PNG`));
    figure.querySelector('figcaption').after(bar);
  });
  for (const code of document.querySelectorAll('pre')) {
    const copied = button('Copy', () => copy(code.innerText, copied));
    code.before(make('div', { className: 'tools' }, copied));
  }
  document.body.classList.add('scripted');
  return { make, button, saveTable };
})();
