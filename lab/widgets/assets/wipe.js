// Two pictures, one clipped at a line that follows the pointer, or the keys on the slider below.

function render({ model, el }) {
  el.insertAdjacentHTML('beforeend', `
    <div class="lab-widget" data-lm-suppress-shortcuts="true">
      <div class="frame"><img class="right" draggable="false"><img class="over left" draggable="false">
        <div class="line"></div></div>
      <input class="grip" type="range" min="0" max="100" step="1" aria-label="where the line stands">
      <div class="names"><output class="left-name"></output><output class="right-name"></output></div>
    </div>`);
  const root = el.lastElementChild;
  const find = (selector) => root.querySelector(selector);
  const [frame, line, grip] = [find('.frame'), find('.line'), find('.grip')];

  function load(side) {
    const image = find(`.frame .${side}`);
    const old = image.src;
    image.onload = () => {
      // Small pictures are shown as their pixels are, and large enough to see.
      image.classList.toggle('pixels', image.naturalWidth < 300);
      root.style.width = `${Math.min(720, Math.max(384, image.naturalWidth))}px`;
      if (old) URL.revokeObjectURL(old);
    };
    const bytes = model.get(side);
    if (bytes.byteLength) image.src = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  }

  function name(side) {
    find(`.frame .${side}`).alt = find(`.${side}-name`).textContent = model.get(`${side}_name`);
  }

  function place() {
    const position = model.get('position');
    grip.value = position;
    line.style.left = `${position}%`;
    find('.left').style.clipPath = `inset(0 ${100 - position}% 0 0)`;
  }

  function move(position) {
    model.set('position', Math.min(100, Math.max(0, position)));
    model.save_changes();
  }

  grip.addEventListener('input', () => move(Number(grip.value)));
  frame.style.touchAction = 'none';
  frame.style.cursor = 'ew-resize';
  for (const kind of ['pointerdown', 'pointermove']) {
    frame.addEventListener(kind, (event) => {
      if (!(event.buttons & 1)) return;
      frame.setPointerCapture(event.pointerId);
      const box = frame.getBoundingClientRect();
      move(Math.round(((event.clientX - box.left) * 1000) / box.width) / 10);
    });
  }
  const watched = [['position', place]];
  for (const side of ['left', 'right']) {
    watched.push([side, () => load(side)], [`${side}_name`, () => name(side)]);
  }
  for (const [trait, react] of watched) {
    model.on(`change:${trait}`, react);
    react();
  }
  return () => watched.forEach(([trait, react]) => model.off(`change:${trait}`, react));
}

export default { render };
