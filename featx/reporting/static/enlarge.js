/* Pictures enlarged: Enter or a click opens, Escape closes, the arrow keys go through the gallery. */
featx.enlarge = (function () {
  'use strict';
  const picture = featx.make('img', { alt: '' });
  const words = featx.make('p');
  const deciding = featx.make('div');
  const where = featx.make('span', { className: 'count' });
  const dialog = featx.make('dialog', { className: 'enlarged' });
  const step = (by) => () => turn(by);
  dialog.append(
    featx.make('div', { className: 'tools' },
      featx.button('‹', step(-1), 'previous image'), where,
      featx.button('›', step(1), 'next image'),
      featx.button('Close', () => dialog.close())),
    picture, words, deciding);
  dialog.setAttribute('aria-label', 'enlarged picture');
  dialog.addEventListener('close', () => dialog.remove());
  let items = [];
  let current = 0;

  function show(k) {
    current = k;
    const { src, text, about } = items[k];
    picture.hidden = !src;
    if (src) picture.src = src;
    else picture.removeAttribute('src');
    picture.alt = text;
    words.textContent = src ? text : `No picture: ${text}`;
    where.textContent = `${k + 1} of ${items.length}`;
    deciding.replaceChildren(...(about && featx.decide ? [featx.decide(about)] : []));
  }

  function turn(by) {
    show((current + by + items.length) % items.length);
  }

  picture.addEventListener('load', () => {
    const small = Math.max(picture.naturalWidth, picture.naturalHeight) <= 64;
    picture.classList.toggle('pixels', small);
  });
  dialog.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      turn(by);
    }
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close(); // outside of what it holds
  });

  /* Show ``items``, each with ``src``, ``text`` and ``about``, from the ``k``-th on. */
  function open(shown, k) {
    items = shown;
    show(k);
    document.body.append(dialog);
    dialog.showModal();
  }

  /* Make a picture open the items that ``find`` gives when it is asked. */
  function opens(image, find) {
    image.tabIndex = 0;
    image.setAttribute('role', 'button');
    const act = () => open(...find());
    image.addEventListener('click', act);
    image.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === ' ') {
        event.preventDefault();
        act();
      }
    });
  }

  for (const list of document.querySelectorAll('.gallery, .nearest')) {
    const images = [...list.querySelectorAll(':scope > li > .pictures > img')];
    const found = images.map((image) => {
      const card = image.closest('li');
      const about = card.dataset.about ? JSON.parse(card.dataset.about) : null;
      const caption = card.querySelector(':scope > p');
      const text = [image.alt, caption && caption.textContent].filter(Boolean).join(' — ');
      return { src: image.src, text, about };
    });
    images.forEach((image, k) => opens(image, () => [found, k]));
  }
  return opens;
})();
