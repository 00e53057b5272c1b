// Paints strokes on a photo and sends them; the mask itself is drawn by lab/widgets/mask_painter.py.

const COLOUR = 'rgb(237, 38, 158)';

function element(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const [width, height] = [model.get('width'), model.get('height')];
  let kind = 'brush';
  let current = null;
  const started = model.get('start').byteLength ? new Image() : null;
  const address = (bytes) => URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));

  const photo = element('img', { src: address(model.get('photo')), alt: 'photo to paint on' });
  const canvas = element('canvas', { width, height, tabIndex: 0, className: 'over' });
  canvas.setAttribute('aria-label', 'hole, painted by mouse or finger');
  const frame = element('div', { className: 'frame' }, photo, canvas);
  // Small photos are enlarged: a brush needs room.
  frame.style.width = `${Math.min(720, Math.max(480, width))}px`;
  if (width < 300) photo.className = 'pixels';
  const size = element('input', {
    type: 'range', min: 1, max: Math.round(Math.max(width, height) / 4),
    value: Math.max(2, Math.round(Math.max(width, height) / 30)), ariaLabel: 'radius in pixels',
  });
  const tools = ['brush', 'eraser'].map((name) =>
    element('button', { type: 'button', textContent: name, onclick: () => choose(name) }));
  const undo = element('button', { type: 'button', textContent: 'undo', onclick: takeBack });
  const clear = element('button', {
    type: 'button', textContent: 'clear', onclick: () => keep({ kind: 'clear', radius: 0, points: [] }),
  });
  const summary = element('output');
  const bar = element('div', { className: 'bar' },
    ...tools, element('label', {}, 'radius ', size), undo, clear, summary);
  const root = element('div', { className: 'lab-widget' }, bar, frame);
  // Else z, and digits, would be commands of the notebook.
  root.setAttribute('data-lm-suppress-shortcuts', 'true');
  el.append(root);

  const context = canvas.getContext('2d');

  function choose(name) {
    kind = name;
    tools.forEach((tool) => tool.setAttribute('aria-pressed', tool.textContent === name));
  }

  function keep(stroke) {
    model.set('strokes', [...model.get('strokes'), stroke]);
    model.save_changes();
  }

  function takeBack() {
    model.set('strokes', model.get('strokes').slice(0, -1));
    model.save_changes();
  }

  function draw() {
    context.globalCompositeOperation = 'source-over';
    context.clearRect(0, 0, width, height);
    if (started && started.complete) context.drawImage(started, 0, 0);
    for (const stroke of [...model.get('strokes'), ...(current ? [current] : [])]) paint(stroke);
    undo.disabled = !model.get('strokes').length;
  }

  function paint(stroke) {
    if (stroke.kind === 'clear') {
      context.clearRect(0, 0, width, height);
      return;
    }
    context.globalCompositeOperation = stroke.kind === 'eraser' ? 'destination-out' : 'source-over';
    Object.assign(context, {
      strokeStyle: COLOUR, lineWidth: 2 * stroke.radius, lineCap: 'round', lineJoin: 'round',
    });
    context.beginPath();
    stroke.points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (stroke.points.length === 1) context.lineTo(...stroke.points[0]);
    context.stroke();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * width) / box.width,
      ((event.clientY - box.top) * height) / box.height,
    ].map((value) => Math.round(value * 16) / 16);
  }

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    current = { kind, radius: Number(size.value), points: [place(event)] };
    draw();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!current) return;
    const events = event.getCoalescedEvents?.() ?? [];
    current.points.push(...(events.length ? events : [event]).map(place));
    draw();
  });
  for (const end of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(end, () => {
      if (!current) return;
      const stroke = current;
      current = null;
      keep(stroke);
    });
  }
  root.addEventListener('keydown', (event) => {
    if (event.key === 'z' && (event.ctrlKey || event.metaKey)) takeBack();
    else if (event.key === 'b') choose('brush');
    else if (event.key === 'e') choose('eraser');
    else return;
    event.preventDefault();
  });

  const say = () => { summary.textContent = model.get('summary'); };
  model.on('change:strokes', draw);
  model.on('change:summary', say);
  if (started) {
    started.onload = draw;
    started.src = address(model.get('start'));
  }
  choose('brush');
  say();
  draw();
  return () => {
    model.off('change:strokes', draw);
    model.off('change:summary', say);
    URL.revokeObjectURL(photo.src);
    if (started) URL.revokeObjectURL(started.src);
  };
}

export default { render };
