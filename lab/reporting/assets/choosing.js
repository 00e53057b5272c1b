// Which runs the verdict, the board and the curves show, and which columns the board has.

const chosenRuns = new Set(shownRuns.map((run) => run.name));
const isChosen = (run) => !run.epochs.length || chosenRuns.has(run.name);

keep('hidden runs', () => shownRuns.map((run) => run.name).filter((name) => !chosenRuns.has(name)),
  (names) => names.forEach((name) => chosenRuns.delete(name)));

const menus = [];
addEventListener('click', (event) => {
  for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
});
addEventListener('keydown', (event) => {
  const open = event.key === 'Escape' && menus.find((menu) => menu.open && menu.contains(document.activeElement));
  if (!open) return;
  open.open = false;
  open.querySelector('summary').focus();
});

// A button that opens a list of boxes to tick. groups: {title, items: [{label, hint, on(), set(value)}]}
function menu(name, summary, groups, presets, changed) {
  const title = make('summary', {});
  const boxes = [];
  const update = () => {
    title.textContent = summary();
    for (const [box, item] of boxes) box.checked = item.on();
  };
  const items = (group) => group.items.map((item) => {
    const box = make('input', { type: 'checkbox', onchange: () => { item.set(box.checked); changed(); } });
    boxes.push([box, item]);
    return make('label', { class: 'check', title: item.hint }, box, item.label);
  });
  const element = make('details', { class: 'menu' }, title, make('div', { class: 'panel', role: 'group', 'aria-label': name },
    make('div', { class: 'bar' }, Object.entries(presets).map(([text, apply]) => make('button', {
      type: 'button', onclick: () => { apply(); changed(); },
    }, text))),
    groups.filter((group) => group.items.length).map((group) => make('fieldset', {},
      group.title ? make('legend', {}, group.title) : null, items(group)))));
  menus.push(element);
  return { element, update };
}

// There is one in each part that shows runs; all say the same.
function runsMenu() {
  const only = (wanted) => () => {
    chosenRuns.clear();
    for (const run of shownRuns.filter(wanted)) chosenRuns.add(run.name);
  };
  const item = (run) => ({
    label: run.label,
    on: () => chosenRuns.has(run.name),
    set: (on) => (on ? chosenRuns.add(run.name) : chosenRuns.delete(run.name)),
  });
  const best = new Set(rankedRuns.slice(0, 5));
  const { element, update } = menu('Runs that are shown',
    () => `Runs: ${chosenRuns.size === shownRuns.length ? `all ${shownRuns.length}` : `${chosenRuns.size} of ${shownRuns.length}`}`,
    [{ title: data.isStudy ? 'trained, best first' : '', items: trainedRuns.map(item) },
      { title: 'without training', items: shownRuns.filter((run) => run.untrained).map(item) }],
    {
      All: only(() => true),
      None: only(() => false),
      ...rankedRuns.length > 5 ? { 'Best five and the rest': only((run) => best.has(run) || run.reference || run.untrained) } : {},
      ...trainedRuns.some((run) => !rankedRuns.includes(run)) ? { 'Only finished': only((run) => run.untrained || rankedRuns.includes(run)) } : {},
    },
    () => change({}));
  listen(update);
  return shownRuns.length > 2 ? element : null;
}

// What a run is called, with what is to be known of it.
function naming(run, tags, below = '') {
  return make('span', { class: 'who' }, run.epochs.length ? sideButtons(run) : null,
    make('span', {}, make('span', { class: 'label', title: run.title || null }, run.label), ' ', make('span', { class: 'state' }, tags),
      below ? make('span', { class: 'state below' }, below) : null));
}

// A run becomes A or B wherever it is named, by mouse, finger or keyboard.
function sideButtons(run) {
  return make('span', { class: 'sides' }, ['a', 'b'].map((side) => make('button', {
    type: 'button', class: `pick ${side}`, 'aria-pressed': 'false', 'aria-label': `Show ${run.label} as ${side.toUpperCase()}`,
    onclick: (event) => { event.stopPropagation(); changeSide(side, { run: run.name }); },
  }, side.toUpperCase())));
}

// Marks what is A and what is B among rows that have such buttons.
function markSides(place) {
  for (const row of place.querySelectorAll('[data-run]')) {
    for (const side of ['a', 'b']) {
      const on = row.dataset.run === state[side].run;
      row.classList.toggle(`is-${side}`, on);
      row.querySelector(`.pick.${side}`).setAttribute('aria-pressed', on);
    }
  }
}
