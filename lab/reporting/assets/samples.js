// Photo by photo: which photos a run does well, and where one loses to another; in what order they come.

const sampleIndex = new Map(data.samples.names.map((name, index) => [name, index]));
const pictureIndex = new Map(data.photos.map((photo, index) => [photo.name, index]).reverse());
const ratioOf = (name) => data.samples.ratios[sampleIndex.get(name)] ?? null;
const holeWords = (ratio) => (ratio === null ? '' : `hole ${(ratio * 100).toFixed(0)} %`);

// Orders by what they are called in the address of the choice; a leading minus: the largest first.
const ORDERS = {
  name: 'by name',
  '-hole': 'largest hole first',
  hole: 'smallest hole first',
  worst: 'worst of A first',
  loses: 'where A loses most to B',
  wins: 'where A wins most over B',
};

function sorted(items, keyOf) {
  const keys = new Map(items.map((item) => [item, keyOf(item)]));
  return [...items].sort((one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === 'number' ? a - b : a.localeCompare(b, undefined, { numeric: true });
  });
}

// What a side scores on a pictured photo, at the epoch that it shows.
function photoValue(index, side, metric) {
  const run = runsByName.get(state[side].run);
  return run ? valueAt(run.scores[index][metric], run, epochOf(state[side])) : null;
}

// By what a sample comes early; a and b are what the sides score on it.
function orderKey(order, name, ratio, a, b) {
  if (order === 'name') return name;
  if (order.endsWith('hole')) return ratio === null || order === 'hole' ? ratio : -ratio;
  if (order === 'worst') return lead(a, 0, state.metric);
  const leads = lead(a, b, state.metric);
  return leads === null || order === 'loses' ? leads : -leads;
}

// While the slider moves, photos stay where they are: they are in the order of the runs' best epochs.
function photoKey(index, order) {
  const { name } = data.photos[index];
  const [a, b] = ['a', 'b'].map((side) => {
    const run = runsByName.get(state[side].run);
    return run ? bestOf(run.scores[index][state.metric], run) : null;
  });
  return orderKey(order, name, ratioOf(name), a, b);
}

function orderControls(changed) {
  const metric = make('select', { 'aria-label': 'Metric below the pictures', onchange: () => change({ metric: metric.value }) },
    Object.keys(data.metrics).map((name) => make('option', { value: name }, name)));
  const select = make('select', { 'aria-label': 'Order of the photos', onchange: () => { album.order = select.value; changed(); change({}); } });
  listen(() => {
    const twoRuns = runsByName.has(state.a.run) && runsByName.has(state.b.run);
    const offered = Object.keys(ORDERS).filter((order) => twoRuns || !['loses', 'wins'].includes(order));
    select.replaceChildren(...offered.map((order) => make('option', { value: order }, ORDERS[order])));
    if (!offered.includes(album.order)) album.order = 'name';
    select.value = album.order;
    metric.value = state.metric;
  });
  return [make('label', {}, 'Metric', metric), make('label', {}, 'Order', select), make('span', { class: 'hint' }, `by that metric${hasEpochs ? ', at the best epochs of A and B' : ''}`)];
}

const FEW_SAMPLES = 12;
const list = { all: false, sorting: { by: null, up: true } };
keep('samples', () => list, (value) => Object.assign(list, value));

function showSamples() {
  const place = section('samples');
  const { samples } = data;
  if (samples.names.length < 2) { place.remove(); return; }
  const holder = make('div', { class: 'narrow' });
  const command = make('div');
  const metric = make('select', { 'aria-label': 'Metric of the list', onchange: () => change({ metric: metric.value }) },
    data.shown.map((name) => make('option', { value: name }, name)));
  const more = make('button', { type: 'button', onclick: () => { list.all = !list.all; build(); } });
  place.append(make('p', { class: 'soft' }, `${samples.all > samples.names.length ? `The first ${samples.names.length} of ` : ''}${counted(samples.all, 'validation sample')}${eachAtCounted}. Above 0, A is better. In the order that is chosen for the pictures; any column sorts.`),
    make('div', { class: 'bar' }, make('label', {}, 'Metric', metric), more), holder, command);

  let built = '';
  function build() {
    const name = data.shown.includes(state.metric) ? state.metric : goal;
    metric.value = name;
    const rows = sampleRows(name);
    more.hidden = rows.length <= FEW_SAMPLES;
    more.textContent = list.all ? `Only the first ${FEW_SAMPLES}` : `All ${rows.length}`;
    holder.replaceChildren(sortableTable('Photo by photo', sampleColumns(name), rows, {
      sorting: list.sorting, most: list.all ? Infinity : FEW_SAMPLES, ordered: offer,
    }));
  }
  function offer(rows) {
    const unseen = rows.slice(0, FEW_SAMPLES).filter((row) => row.picture === undefined).slice(0, FEW_PHOTOS);
    const words = unseen.length === 1 ? 'the first of these that is not pictured' : `the first ${unseen.length} of these that are not pictured`;
    command.replaceChildren(...unseen.length && data.runs.some((run) => run.use || run.kind === 'classical') ? [
      make('p', { class: 'soft' }, `To picture ${words}, completed again from the kept checkpoints at their best epochs:`),
      commandLine(`python -m lab.report ${quoted(data.folder)} --sample ${unseen.map((row) => quoted(row.name)).join(' ')}`)] : []);
  }
  function update() {
    const choices = JSON.stringify([state.metric, state.a.run, state.b.run, album.order]);
    if (choices !== built) build();
    built = choices;
  }
  listen(update);
}

function sampleRows(metric) {
  const { names, photos, ratios } = data.samples;
  const [a, b] = ['a', 'b'].map((side) => runsByName.get(state[side].run)?.samples[metric] ?? []);
  const rows = names.map((name, index) => ({
    name, photo: photos[index], ratio: ratios[index], a: a[index] ?? null, b: b[index] ?? null, picture: pictureIndex.get(name),
  }));
  return sorted(rows, (row) => orderKey(album.order, row.name, row.ratio, row.a, row.b));
}

function sampleColumns(metric) {
  const value = (side) => ({
    title: `${side.toUpperCase()}: ${runsByName.get(state[side].run)?.label ?? 'no run'}`, hint: metric,
    key: (row) => row[side], cell: (row) => shown(row[side], metric),
  });
  const words = (row) => {
    const leads = lead(row.a, row.b, metric);
    if (leads === null) return '–';
    const text = `${leads > 0 ? '+' : leads < 0 ? '−' : ''}${Math.abs(leads).toFixed(decimals(metric))}`;
    return make('span', { class: leads > 0 ? 'better' : leads < 0 ? 'worse' : null }, text);
  };
  return [
    { title: 'sample', text: true, fixed: true, key: (row) => row.name, cell: (row) => row.name },
    { title: 'hole', hint: 'its share of the sample', key: (row) => row.ratio, cell: (row) => (row.ratio === null ? '–' : `${(100 * row.ratio).toFixed(0)} %`) },
    value('a'), ...state.a.run === state.b.run ? [] : [value('b'),
      { title: `Δ ${metric}`, hint: 'how much better A is than B', key: (row) => lead(row.a, row.b, metric), cell: words }],
    { title: 'pictured', text: true, key: (row) => (row.picture === undefined ? 0 : 1), cell: (row) => (row.picture === undefined ? '–' : make('button', { type: 'button', class: 'link', onclick: () => goToPicture(row.picture) }, 'show')) },
  ];
}

function goToPicture(index) {
  album.all ||= data.photos.length > FEW_PHOTOS;
  change({});
  const cell = section('pictures').querySelector(`[data-photo="${index}"] .cell`);
  cell.scrollIntoView({ block: 'center' });
  cell.focus({ preventScroll: true });
}

// As a shell takes it for one word.
const quoted = (word) => (/^[\w./~@%+=:-]+$/.test(word) && !word.startsWith('-') ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`);
