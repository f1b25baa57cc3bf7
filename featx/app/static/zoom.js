/* An image that is zoomed with the wheel, two fingers or keys, and dragged. */
featx.zoom = function zoom(frame, picture) {
  'use strict';
  const MOST = 24;
  let scale = 1;
  let [x, y] = [0, 0];
  const fingers = new Map();

  function draw() {
    const [w, h] = [frame.clientWidth, frame.clientHeight];
    const [most_x, most_y] = [(w * (scale - 1)) / 2, (h * (scale - 1)) / 2];
    x = Math.min(most_x, Math.max(-most_x, x));
    y = Math.min(most_y, Math.max(-most_y, y));
    picture.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle('zoomed', scale > 1);
    const drawn = Math.min(w / (picture.naturalWidth || w), h / (picture.naturalHeight || h));
    picture.classList.toggle('pixels', drawn * scale >= 3);
  }

  /* Keep the point under the pointer where it is. */
  function by(factor, event) {
    const area = frame.getBoundingClientRect();
    const px = event ? event.clientX - area.left - area.width / 2 : 0;
    const py = event ? event.clientY - area.top - area.height / 2 : 0;
    const next = Math.min(MOST, Math.max(1, scale * factor));
    x = px - ((px - x) * next) / scale;
    y = py - ((py - y) * next) / scale;
    scale = next;
    draw();
  }

  function whole() {
    scale = 1;
    x = y = 0;
    draw();
  }

  function spread() {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  }

  frame.addEventListener('wheel', (event) => {
    event.preventDefault();
    by(event.deltaY < 0 ? 1.2 : 1 / 1.2, event);
  }, { passive: false });
  frame.addEventListener('pointerdown', (event) => {
    fingers.set(event.pointerId, event);
    if (scale > 1 || fingers.size > 1) frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const was = spread();
      fingers.set(event.pointerId, event);
      by(spread() / Math.max(1, was), event);
      return;
    }
    fingers.set(event.pointerId, event);
    if (scale > 1) {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      draw();
    }
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    frame.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  }
  frame.addEventListener('dblclick', (event) => {
    if (scale > 1) whole();
    else by(4, event);
  });
  picture.addEventListener('load', draw);
  picture.addEventListener('dragstart', (event) => event.preventDefault());

  return {
    whole,
    in: () => by(1.5),
    out: () => by(1 / 1.5),
    zoomed: () => scale > 1,
    pan(dx, dy) {
      x -= (dx * frame.clientWidth) / 6;
      y -= (dy * frame.clientHeight) / 6;
      draw();
    },
  };
};
