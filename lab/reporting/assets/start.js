// The head, the list of sections, what reproduces each run; then everything is put up.

function showHead() {
  const counts = new Map();
  const trials = data.runs.filter((run) => !run.untrained);
  for (const run of trials) counts.set(run.state, (counts.get(run.state) ?? 0) + 1);
  const fact = (value, words) => make('li', {}, make('b', {}, value), ` ${words}`);
  const states = [...counts].map(([name, count]) => (name === 'run' ? 'complete' : `${count} ${name}`)).join(', ');
  const pictured = new Set(data.photos.map((photo) => photo.name)).size;
  section('head').append(
    make('p', { class: 'overline' }, data.isStudy ? `study ${data.name}` : `run ${data.name}`),
    make('h1', {}, data.question || data.name),
    make('ul', { class: 'facts' },
      data.isStudy && trials.length ? fact(counted(trials.length, counts.has('run') ? 'run' : 'trial'), states === 'complete' ? '' : `(${states})`) : null,
      trainedRuns.length ? fact(counted(lastEpoch, 'epoch'), '') : null,
      data.restsOn ? fact(data.restsOn, `for validation, ${pictured === data.samples.all ? 'all' : `${pictured} of them`} pictured`) : null,
      data.isStudy ? fact(listed(data.goals), data.goals.length === 1 ? 'is the goal' : 'are the goals') : null));
  const titles = [...document.querySelectorAll('main > section')]
    .map((part) => [part.id, part.querySelector('h2').textContent]);
  const links = titles.map(([id, title]) => make('a', { href: `#${id}` }, title));
  section('sections').append(make('ul', {}, links.map((link) => make('li', {}, link))),
    make('button', { type: 'button', id: 'news', hidden: true, onclick: reload }, 'A newer version is there: show it'));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      links.forEach((link) => {
        const here = link.hash === `#${entry.target.id}`;
        if (here) link.setAttribute('aria-current', 'true');
        else link.removeAttribute('aria-current');
      });
    }
  }, { rootMargin: '-20% 0px -75% 0px' });
  for (const [id] of titles) observer.observe(section(id));
  section('weights')?.querySelector('h2').append(`, against the goal${data.goals.length === 1 ? '' : 's'}`);
  section('foot').append(`Written ${data.written.replace('T', ' ').replace('+00:00', ' UTC')}. ${data.serial === null ? '' : 'While python -m lab.report --watch runs, this page shows what is new by itself. '}This page loads nothing and sends nothing.`);
}

function commandLine(text) {
  const button = make('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      // Not every browser lets a page opened from a file do that.
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = 'Selected: press Ctrl+C';
    }
  });
  return make('div', { class: 'command' }, make('pre', { tabindex: 0 }, text), button);
}

function showReproduce() {
  const place = section('reproduce');
  const chosen = make('div');
  const select = make('select', { onchange: () => update(select.value) },
    data.runs.map((run) => make('option', { value: run.name }, run.label)));
  place.append(make('p', { class: 'bar' }, make('label', {}, 'Run', select)), chosen);
  function update(name) {
    const run = runsByName.get(name);
    select.value = name;
    const values = Object.entries(run.values).map(([path, value]) => `${data.names[path]} ${brief(value)}`);
    chosen.replaceChildren(
      ...values.length ? [make('p', { class: 'soft' }, values.join(', '))] : [],
      ...run.train ? [make('h3', {}, 'Train it again'), commandLine(run.train)] : [],
      ...run.use ? [make('h3', {}, `Complete photos with its best epoch, ${run.best}`), commandLine(run.use)] : [],
      run.config
        ? make('details', {}, make('summary', {}, 'config.yaml'), make('pre', { tabindex: 0 }, run.config))
        : make('p', { class: 'soft' }, run.untrained ? 'It has no settings.' : 'This run has written no config.yaml yet.'));
  }
  if (!data.runs.length) { place.remove(); return; }
  update(data.runs[0].name);
  let last = null;
  listen(() => {
    if (state.a.run !== last && runsByName.has(state.a.run)) update(state.a.run);
    last = state.a.run;
  });
}

function openingSides() {
  const best = runsByName.get(data.knee ?? data.best) ?? shownRuns[0];
  if (!best) return;
  const others = shownRuns.filter((run) => run !== best);
  const other = others.find((run) => run.name === data.comparison?.with) ?? others.find((run) => run.reference) ?? others[0] ?? best;
  state.a.run = best.name;
  state.b.run = other.name;
  if (other === best) state.a = { ...state.a, epoch: best.epochs[0] };
  state.epoch = Math.max(firstEpoch, best.best ?? lastEpoch);
}

// What the person had chosen before the page was read again, as far as it is still there.
keep('state', () => state, (value) => {
  openingSides();
  const known = (side) => runsByName.has(value[side].run) || value[side].run in FIXED;
  Object.assign(state, value, { epoch: Math.min(value.epoch, lastEpoch) });
  if (!known('a') || !known('b') || !data.metrics[state.metric]) state.a.run = null;
});

function begin() {
  if (!state.a.run) openingSides();
  showVerdict();
  showBoard();
  showPictures();
  showSamples();
  showCurves();
  showLosses();
  showPlots();
  showSelection();
  showVotes();
  showReproduce();
  showHead();
  change({});
  goBack();
  followStudy();
}

begin();
