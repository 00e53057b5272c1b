// Two completions without names, and what somebody chooses, sent to lab/widgets/ballot.py.

const KEYS = {
  ArrowLeft: 'left', 1: 'left', ArrowRight: 'right', 2: 'right', 0: 'tie', ' ': 'tie',
  u: 'back', Backspace: 'back',
};

function render({ model, el }) {
  el.insertAdjacentHTML('beforeend', `
    <div class="lab-widget" data-lm-suppress-shortcuts="true" tabindex="0" role="group"
         aria-label="vote by the keys 1, 2, 0 for a tie, u for back">
      <div class="bar"><output></output></div>
      <div class="pair">
        <img alt="left completion"><img alt="right completion">
        <button type="button" data-choice="left">left is better (1)</button>
        <button type="button" data-choice="right">right is better (2)</button>
      </div>
      <div class="bar">
        <button type="button" data-choice="tie">no difference (0)</button>
        <button type="button" data-choice="back">back (u)</button>
      </div>
    </div>`);
  const root = el.lastElementChild;
  const images = [...root.querySelectorAll('img')];

  const choose = (choice) => model.send({ choice });
  root.querySelectorAll('button').forEach((button) => {
    button.addEventListener('click', () => choose(button.dataset.choice));
  });
  root.addEventListener('keydown', (event) => {
    const onButton = event.target.tagName === 'BUTTON' && event.key === ' ';
    const choice = KEYS[event.key];
    if (!choice || onButton || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(choice);
  });

  function load(side, image) {
    const bytes = model.get(side);
    const old = image.src;
    image.style.visibility = bytes.byteLength ? 'visible' : 'hidden';
    image.onload = () => {
      image.classList.toggle('pixels', image.naturalWidth < 300);
      if (old) URL.revokeObjectURL(old);
    };
    if (bytes.byteLength) image.src = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  }
  const say = () => { root.querySelector('output').textContent = model.get('status'); };
  const watched = [
    ['left', () => load('left', images[0])],
    ['right', () => load('right', images[1])],
    ['status', say],
  ];
  for (const [name, react] of watched) {
    model.on(`change:${name}`, react);
    react();
  }
  return () => watched.forEach(([name, react]) => model.off(`change:${name}`, react));
}

export default { render };
