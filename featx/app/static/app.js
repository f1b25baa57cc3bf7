/* What the pages share: elements of text, requests in order, messages, and what is known of images. */
// oxlint-disable-next-line no-unused-vars -- the scripts after it use it
const featx = (function () {
  'use strict';
  const byId = (id) => document.getElementById(id);

  /* An element with text, never markup: names may hold anything. */
  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function attributes(element, values) {
    for (const [name, value] of Object.entries(values)) {
      if (value === null) element.removeAttribute(name);
      else element.setAttribute(name, value);
    }
    return element;
  }

  let quiet = 0;
  function say(text, alert = false) {
    const place = byId('said');
    clearTimeout(quiet);
    place.textContent = text;
    place.classList.toggle('alert', alert);
    place.classList.add('shown');
    quiet = setTimeout(() => place.classList.remove('shown'), alert ? 9000 : 3500);
  }

  class Refused extends Error {
    constructor(status, found) {
      super(found.error || `The server answered ${status}.`);
      this.status = status;
      this.found = found;
    }
  }

  async function answerOf(response) {
    const found = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, found);
    return found;
  }

  async function reach(path, options) {
    try {
      const response = await fetch(path, { cache: 'no-store', ...options });
      byId('gone').hidden = true;
      return response;
    } catch (error) {
      byId('gone').hidden = false;
      throw error;
    }
  }

  const get = async (path) => answerOf(await reach(path));
  const post = async (path, body) => answerOf(await reach(path,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }));
  const send = async (path, blob) => answerOf(await reach(path,
    { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: blob }));

  /* Changes go out one after the other, in the order in which they were made. */
  let last = Promise.resolve();
  let waiting = 0;
  function inOrder(action) {
    waiting += 1;
    const done = last.then(action).finally(() => { waiting -= 1; });
    last = done.catch(() => {});
    return done;
  }
  window.addEventListener('beforeunload', (event) => {
    if (waiting) event.preventDefault();
  });

  /* What is known of images, by their number; those not yet known are asked for together. */
  const known = new Map();
  const listeners = [];
  const wanted = new Set();
  let asking = false;
  function learn(items) {
    for (const item of items) known.set(item.i, item);
    for (const listener of listeners) listener();
  }
  async function want(rows) {
    for (const row of rows) if (!known.has(row)) wanted.add(row);
    if (asking) return;
    asking = true;
    try {
      await new Promise((resolve) => { requestAnimationFrame(resolve); });
      while (wanted.size) {
        const some = [...wanted].slice(-400); // what was asked for last is what is looked at
        wanted.clear();
        learn((await post('api/items', { rows: some })).items); // oxlint-disable-line no-await-in-loop
      }
    } catch (error) {
      if (error instanceof Refused) say(error.message, true);
    } finally {
      asking = false;
    }
  }

  /* Only what is certain is 100 %. */
  const percent = (p) => (p > 0.99 && p < 1 ? `${(Math.floor(1000 * p) / 10).toFixed(1)}\u00a0%` : `${Math.round(100 * p)}\u00a0%`);
  const count = (n) => n.toLocaleString('en');
  const fileOf = (id) => id.slice(id.lastIndexOf('/') + 1);

  function debounce(action, ms) {
    let timer = 0;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(() => action(...values), ms);
    };
  }

  const keys = byId('keys');
  const isTyping = (event) => event.target.closest('input, select, textarea, dialog') !== null;

  return { byId, make, attributes, say, get, post, send, inOrder, known, learn, want, percent, count,
    fileOf, debounce, keys, isTyping, Refused, onChange: (listener) => listeners.push(listener) };
})();
