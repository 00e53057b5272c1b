// The same photos at one epoch, all together: A and B under one wipe, zoomed and panned in step.

const FIXED = { '#truth': 'the photo itself', '#hole': 'the photo with its hole' };
const LEAST_ZOOM = 1;
const MOST_ZOOM = 16;
const view = { split: 50, zoom: 1, x: 0, y: 0 };
const look = { mode: 'wipe', difference: '', outlined: false };

const FEW_PHOTOS = 6;
const album = { order: 'name', all: false };
keep('view', () => [view, look, album], (values) => [view, look, album].forEach((one, index) => Object.assign(one, values[index])));

function showPictures() {
  const place = section('pictures');
  if (!data.photos.length) {
    place.append(make('p', { class: 'soft' }, 'No run has written pictures yet.'));
    return;
  }
  const grid = make('div', { class: 'grid' });
  // Where the hole is what is asked, a photo is there with each run's own: all of them are one cell.
  const tiles = new Map();
  data.photos.forEach(({ tile }, index) => tiles.set(tile, [...tiles.get(tile) ?? [], index]));
  const cells = new Map([...tiles].map(([tile, indices]) => [tile, new Cell(indices, applyView)]));
  const wipe = make('input', {
    type: 'range', min: 0, max: 100, value: 50, 'aria-label': 'Wipe between A and B',
    oninput: (event) => { view.split = Number(event.target.value); applyView(); },
  });
  const more = make('button', { type: 'button', onclick: () => { album.all = !album.all; arrange(); } });
  place.append(
    make('div', { class: 'bar' }, sideControls('a'), sideControls('b'),
      make('button', { type: 'button', onclick: () => change({ a: state.b, b: state.a }) }, 'Swap')),
    ...hasEpochs ? [epochSlider()] : [],
    lookControls(grid, wipe, applyView, () => cells.forEach((cell) => cell.update())),
    make('div', { class: 'bar' }, ...orderControls(() => arrange())),
    grid,
    make('p', { class: 'bar' }, more, make('span', { class: 'hint' }, picturedWords())),
    make('p', { class: 'hint' }, 'Drag across a picture to move the wipe, or focus it and press ',
      make('kbd', {}, '←'), ' ', make('kbd', {}, '→'), '. ', make('kbd', {}, '+'), ' ', make('kbd', {}, '−'),
      ' zoom (or Ctrl and the wheel), ', make('kbd', {}, 'Shift'), ' and arrows or dragging pan, ',
      make('kbd', {}, '0'), ' shows all. ',
      ...hasEpochs ? [make('kbd', {}, ','), ' ', make('kbd', {}, '.'), ' step through the epochs anywhere on the page.'] : []));

  let arranged = '';
  function arrange() {
    const order = sorted([...cells.keys()], (index) => photoKey(index, album.order));
    const shownPhotos = album.all ? order : order.slice(0, FEW_PHOTOS);
    more.hidden = order.length <= FEW_PHOTOS;
    more.textContent = album.all ? `Only the first ${FEW_PHOTOS}` : `All ${counted(order.length, 'pictured photo')}`;
    if (arranged === shownPhotos.join()) return;
    arranged = shownPhotos.join();
    grid.replaceChildren(...shownPhotos.map((index) => cells.get(index).element));
  }
  function applyView() {
    view.zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, view.zoom));
    view.x = Math.min(0, Math.max(1 - view.zoom, view.x));
    view.y = Math.min(0, Math.max(1 - view.zoom, view.y));
    view.split = Math.min(100, Math.max(0, view.split));
    grid.style.setProperty('--split', `${view.split}%`);
    grid.style.setProperty('--zoom', view.zoom);
    grid.style.setProperty('--x', `${view.x * 100}%`);
    grid.style.setProperty('--y', `${view.y * 100}%`);
    grid.classList.toggle('zoomed', view.zoom > 1);
    wipe.value = view.split;
    for (const cell of cells.values()) cell.applyView();
  }
  arrange();
  applyView();
  listen(() => {
    arrange();
    for (const cell of cells.values()) cell.update();
  });
  addEventListener('resize', applyView);
}

function picturedWords() {
  const { all } = data.samples;
  const pictured = new Set(data.photos.map((photo) => photo.name)).size;
  if (pictured >= all) return '';
  return `${pictured} of ${counted(all, 'validation sample')} ${pictured === 1 ? 'is' : 'are'} pictured; “Photo by photo” below lists all, and how to picture more.`;
}

function standing(run) {
  if (run.name === data.knee) return ' (knee)';
  if (run.name !== data.best || !data.isStudy) return '';
  return data.goals.length > 1 ? ` (best ${data.goals[0]})` : ' (best)';
}

function sideControls(side) {
  const name = side.toUpperCase();
  const option = (value, text) => make('option', { value }, text);
  const run = make('select', { 'aria-label': `${name}: run`, onchange: () => changeSide(side, { run: run.value }) },
    make('optgroup', { label: data.isStudy ? 'Runs, best first' : 'Run' },
      shownRuns.map((one) => option(one.name, `${one.label}${standing(one)}`))),
    make('optgroup', { label: 'The photo' }, Object.entries(FIXED).map(([value, text]) => option(value, text))));
  const stage = make('select', { class: 'stage', 'aria-label': `${name}: stage`, onchange: () => changeSide(side, { stage: stage.value }) });
  const epoch = make('select', {
    class: 'epoch', 'aria-label': `${name}: epoch`,
    onchange: () => changeSide(side, { epoch: Number(epoch.value) || epoch.value }),
  });
  listen(() => {
    const now = state[side];
    const chosen = runsByName.get(now.run);
    const stages = [...new Set((chosen?.pictures ?? []).flatMap((byStage) => Object.keys(byStage)))].sort();
    if (chosen && stages.length && !stages.includes(now.stage)) now.stage = stages.includes('completed') ? 'completed' : stages[0];
    stage.replaceChildren(...stages.map((text) => option(text, text)));
    epoch.replaceChildren(option('best', `best: epoch ${chosen?.best ?? '–'}`), option('slider', `slider: epoch ${chosen ? epochOf({ ...now, epoch: 'slider' }) : '–'}`),
      ...(chosen?.epochs ?? []).map((value) => option(value, `epoch ${value}`)));
    run.value = now.run;
    stage.value = now.stage;
    epoch.value = now.epoch;
    stage.hidden = epoch.hidden = !chosen;
    epoch.hidden ||= chosen.untrained || !hasEpochs;
  });
  return make('div', { class: 'side', role: 'group', 'aria-label': `Side ${name}` },
    make('span', { class: `chip ${side}`, 'aria-hidden': 'true' }, name), run, stage, epoch);
}

function epochSlider() {
  const slider = make('input', {
    type: 'range', id: 'epoch', min: firstEpoch, max: lastEpoch, step: 1, 'aria-label': 'Epoch of all photos',
    oninput: () => moveSlider(Number(slider.value)),
  });
  const output = make('output', { for: 'epoch' });
  let timer = null;
  const step = (by) => moveSlider(Math.min(lastEpoch, Math.max(firstEpoch, state.epoch + by)));
  const stop = () => { clearInterval(timer); timer = null; play.textContent = 'Play'; };
  const play = make('button', {
    type: 'button',
    onclick: () => {
      if (timer) { stop(); return; }
      if (state.epoch === lastEpoch) moveSlider(firstEpoch);
      play.textContent = 'Stop';
      timer = setInterval(() => (state.epoch < lastEpoch ? step(1) : stop()), 600);
    },
  }, 'Play');
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== 'range') return;
    if (event.key === ',') step(-1);
    if (event.key === '.') step(1);
  });
  const best = make('button', {
    type: 'button', onclick: () => change(Object.fromEntries(['a', 'b'].map((side) => [side, { ...state[side], epoch: 'best' }]))),
  }, 'Best epochs');
  listen(() => {
    slider.value = state.epoch;
    const atBest = !['a', 'b'].some((side) => runsByName.has(state[side].run) && state[side].epoch !== 'best');
    best.setAttribute('aria-pressed', atBest);
    output.textContent = atBest ? `Each ${countedEpoch}` : `Epoch ${state.epoch} of ${lastEpoch}`;
  });
  return make('div', { class: 'epochs' }, output, slider, best, play);
}

function lookControls(grid, wipe, applyView, update) {
  const modes = { wipe: 'Wipe', beside: 'Side by side', alone: 'Only A' };
  const buttons = Object.entries(modes).map(([mode, text]) => make('button', {
    type: 'button', onclick: () => set({ mode }),
  }, text));
  const difference = make('select', { 'aria-label': 'Difference', onchange: () => set({ difference: difference.value }) },
    make('option', { value: '' }, 'pictures'),
    make('option', { value: 'between' }, 'difference of A and B, × 4'),
    make('option', { value: 'against' }, 'difference from the truth, × 4'));
  const outline = make('input', { type: 'checkbox', onchange: () => set({ outlined: outline.checked }) });
  const zoom = (factor) => () => { zoomAt(0.5, 0.5, factor); applyView(); };
  function set(values) {
    Object.assign(look, values);
    for (const mode of Object.keys(modes)) grid.classList.toggle(mode, look.mode === mode && look.difference !== 'between');
    grid.classList.toggle('between', look.difference === 'between');
    grid.classList.toggle('against', look.difference === 'against');
    grid.classList.toggle('outlined', look.outlined);
    buttons.forEach((button, index) => button.setAttribute('aria-pressed', Object.keys(modes)[index] === look.mode));
    wipe.disabled = look.mode !== 'wipe' || look.difference === 'between';
    applyView();
    update();
  }
  difference.value = look.difference;
  outline.checked = look.outlined;
  queueMicrotask(() => set({}));
  return make('div', { class: 'bar' },
    make('span', { class: 'group', role: 'group', 'aria-label': 'How to compare' }, buttons),
    make('label', {}, 'Wipe', wipe),
    make('label', {}, 'Show', difference),
    make('label', { class: 'check' }, outline, 'outline of the hole'),
    make('span', { class: 'group', role: 'group', 'aria-label': 'Zoom' },
      make('button', { type: 'button', 'aria-label': 'Zoom out', onclick: zoom(1 / 1.5) }, '−'),
      make('button', { type: 'button', onclick: () => { view.zoom = 1; applyView(); } }, 'Fit'),
      make('button', { type: 'button', 'aria-label': 'Zoom in', onclick: zoom(1.5) }, '+')));
}

// Keeps the point (x, y), as shares of the picture's frame, where it is.
function zoomAt(x, y, factor) {
  const next = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, view.zoom * factor));
  view.x = x - (x - view.x) * (next / view.zoom);
  view.y = y - (y - view.y) * (next / view.zoom);
  view.zoom = next;
}

class Cell {
  // The indices are of one photo with one hole, or with several.
  constructor(indices, applyView) {
    const [index] = indices;
    const photo = data.photos[index];
    this.photo = photo;
    this.index = index;
    this.indices = indices;
    this.near = false;
    this.images = {};
    const layers = ['a', 'b'].map((side) => {
      const picture = make('img', { decoding: 'async', draggable: 'false', alt: '' });
      const truth = make('img', { class: 'truth', alt: '', draggable: 'false' });
      const outline = make('img', { class: 'outline', alt: '', draggable: 'false' });
      this.images[side] = { picture, truth, outline };
      return make('div', { class: `layer ${side}` }, picture, truth, outline);
    });
    this.images.a.picture.addEventListener('load', () => this.fit());
    this.missing = make('div', { class: 'none' });
    this.frame = make('div', {
      class: 'cell', tabindex: 0, role: 'slider', 'aria-label': `Wipe between A and B on ${photo.name}`,
      'aria-valuemin': 0, 'aria-valuemax': 100,
    }, layers, make('div', { class: 'rule' }),
    make('span', { class: 'chip tag a', 'aria-hidden': 'true' }, 'A'), make('span', { class: 'chip tag b', 'aria-hidden': 'true' }, 'B'), this.missing);
    this.values = make('span', { class: 'values' });
    this.element = make('figure', { 'data-photo': index }, this.frame, make('figcaption', {},
      make('span', { class: 'name', title: photo.name }, photo.name),
      make('span', { class: 'soft' }, indices.length > 1 ? 'each run’s own hole' : holeWords(ratioOf(photo.name))),
      this.values));
    new IntersectionObserver((entries) => {
      this.near = entries.at(-1).isIntersecting;
      if (this.near) this.update();
    }, { rootMargin: '200px' }).observe(this.element);
    this.byPointer(applyView);
    this.byKeyboard(applyView);
  }

  // Pictures out of sight are left as they are; they are brought up to date when they come near.
  update() {
    if (!this.near) return;
    const missing = [];
    for (const side of ['a', 'b']) {
      const { picture, truth, outline } = this.images[side];
      const [source, words] = this.pictureOf(side);
      if (source) setSource(picture, source);
      else picture.removeAttribute('src');
      picture.alt = `${side.toUpperCase()}: ${this.photo.name}, ${words}`;
      if (!source) missing.push(`${side.toUpperCase()}: no picture of ${words}`);
      if (look.difference === 'against') setSource(truth, fixedPicture(this.index, 'truth'));
      if (look.outlined) setSource(outline, fixedPicture(this.withHoleOf(side), 'outline'));
    }
    this.missing.textContent = missing.join('; ');
    this.showValues();
  }

  // The photo with the hole that the side's run was given; beside the photo itself, the other side's.
  withHoleOf(side) {
    const run = [side, ...'ab'].map((one) => runsByName.get(state[one].run)).find(Boolean);
    return this.indices.find((index) => run && Object.keys(run.pictures[index]).length) ?? this.index;
  }

  pictureOf(side) {
    const chosen = state[side];
    const index = this.withHoleOf(side);
    if (chosen.run in FIXED) return [fixedPicture(index, chosen.run.slice(1)), FIXED[chosen.run]];
    const run = runsByName.get(chosen.run);
    const epoch = epochOf(chosen);
    return [epochPicture(run, index, chosen.stage, epoch), `${run.label}, ${chosen.stage}, epoch ${epoch}`];
  }

  showValues() {
    const { metric } = state;
    const [a, b] = ['a', 'b'].map((side) => photoValue(this.index, side, metric));
    const parts = [make('span', {}, metric)];
    if (a !== null) parts.push(make('span', { class: 'va' }, `A ${shown(a, metric)}`));
    if (b !== null) parts.push(make('span', { class: 'vb' }, `B ${shown(b, metric)}`));
    if (a !== null && b !== null && shown(a, metric) !== shown(b, metric)) {
      const better = lead(a, b, metric) > 0;
      parts.push(make('span', { class: better ? 'better' : 'worse' },
        `A is ${better ? 'better' : 'worse'} by ${Math.abs(a - b).toFixed(decimals(metric))}`));
    }
    this.values.replaceChildren(...(a === null && b === null ? [] : parts));
  }

  fit() {
    const { naturalWidth, naturalHeight } = this.images.a.picture;
    if (naturalWidth) this.element.style.setProperty('--aspect', naturalWidth / naturalHeight);
    this.applyView();
  }

  applyView() {
    this.frame.setAttribute('aria-valuenow', Math.round(view.split));
    this.frame.setAttribute('aria-valuetext', `${Math.round(view.split)} % A`);
    const { picture } = this.images.a;
    // Pixels of the photo that are larger than those of the screen are shown as they are.
    this.element.classList.toggle('enlarged', picture.naturalWidth > 0 && picture.clientWidth * view.zoom > picture.naturalWidth);
  }

  // Where in the frame of one picture, as shares.
  place(event) {
    const box = this.frame.getBoundingClientRect();
    const width = look.mode === 'beside' && look.difference !== 'between' ? box.width / 2 : box.width;
    return [((event.clientX - box.left) % width) / width, (event.clientY - box.top) / box.height, width, box.height];
  }

  byPointer(applyView) {
    let drag = null;
    this.frame.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      const [x] = this.place(event);
      const wiping = look.mode === 'wipe' && look.difference !== 'between';
      const pans = view.zoom > 1 && !(wiping && Math.abs(x * 100 - view.split) < 7);
      if (!pans && !wiping) return;
      drag = { pans, x: event.clientX, y: event.clientY };
      this.frame.setPointerCapture(event.pointerId);
      if (!pans) { view.split = x * 100; applyView(); }
    });
    this.frame.addEventListener('pointermove', (event) => {
      if (!drag) return;
      const box = this.frame.getBoundingClientRect();
      if (drag.pans) {
        const [, , width, height] = this.place(event);
        view.x += (event.clientX - drag.x) / width;
        view.y += (event.clientY - drag.y) / height;
        drag = { ...drag, x: event.clientX, y: event.clientY };
      } else {
        view.split = ((event.clientX - box.left) / box.width) * 100;
      }
      applyView();
    });
    for (const end of ['pointerup', 'pointercancel']) this.frame.addEventListener(end, () => { drag = null; });
    this.frame.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return; // without Ctrl, the wheel scrolls the page
      event.preventDefault();
      const [x, y] = this.place(event);
      zoomAt(x, y, Math.exp(-event.deltaY / 300));
      applyView();
    }, { passive: false });
  }

  byKeyboard(applyView) {
    const pan = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    const wipe = { ArrowLeft: -2, ArrowRight: 2, PageDown: -20, PageUp: 20, Home: -100, End: 100 };
    this.frame.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.shiftKey && event.key in pan) {
        view.x += pan[event.key][0];
        view.y += pan[event.key][1];
      } else if (event.key in wipe) view.split += wipe[event.key];
      else if (event.key === '+' || event.key === '=') zoomAt(0.5, 0.5, 1.5);
      else if (event.key === '-') zoomAt(0.5, 0.5, 1 / 1.5);
      else if (event.key === '0') view.zoom = 1;
      else return;
      event.preventDefault();
      applyView();
    });
  }
}

function setSource(image, source) {
  if (image.getAttribute('src') !== source) image.setAttribute('src', source);
}
