// The verdict as one picture: how much better each run is than one of them, with its interval.

const MARKS = {
  better: { path: 'M-6 -6L7 0L-6 6Z', words: 'better' },
  worse: { path: 'M6 -6L-7 0L6 6Z', words: 'worse' },
  'no difference': { path: 'M0 -5A5 5 0 1 1 0 5A5 5 0 1 1 0 -5Z', words: 'no clear difference' },
};
const FEW_ROWS = 16;
const forest = { all: false, near: false };
keep('forest', () => forest, (value) => Object.assign(forest, value));

function showVerdict() {
  const place = section('result');
  place.append(make('p', { class: 'verdict' }, data.verdict),
    ...data.cautions.map((text) => make('p', { class: 'caution' }, text)));
  if (data.comparison) place.append(forestFigure());
  if (data.findings.length > 1) {
    place.append(make('details', {}, make('summary', {}, 'The same in words, as the terminal says it'),
      make('ul', { class: 'findings' }, data.findings.map((text) => make('li', {}, text)))));
  }
}

function forestFigure() {
  const { comparison } = data;
  const others = Object.keys(comparison.byMetric).filter((metric) => !data.goals.includes(metric));
  const buttons = data.goals.map((metric) => make('button', { type: 'button', onclick: () => change({ metric }) }, metric));
  const select = make('select', { 'aria-label': 'Another metric', onchange: () => change({ metric: select.value || goal }) },
    make('option', { value: '' }, 'another metric'), others.map((metric) => make('option', { value: metric }, metric)));
  const near = make('input', { type: 'checkbox', onchange: () => { forest.near = near.checked; update(); } });
  const nearLabel = make('label', { class: 'check' }, near, 'scale to the trained runs');
  const caption = make('figcaption', {});
  const body = make('div', { class: 'forest-body' });
  const more = make('button', { type: 'button', onclick: () => { forest.all = !forest.all; update(); } });

  let built = '';
  function update() {
    const choices = JSON.stringify([state.metric, forest, [...chosenRuns]]);
    if (choices !== built) build(); // a click on a row must not take the row away
    built = choices;
    markSides(body);
  }
  function build() {
    const metric = comparison.byMetric[state.metric] ? state.metric : goal;
    buttons.forEach((button, index) => button.setAttribute('aria-pressed', data.goals[index] === metric));
    select.value = data.goals.includes(metric) ? '' : metric;
    const rows = forestRows(metric);
    const shownRows = forest.all ? rows : fewRows(rows);
    const [whole, trained] = [spanOf(rows), spanOf(rows.filter((row) => !row.run.untrained))];
    nearLabel.hidden = !(trained[1] - trained[0] < 0.6 * (whole[1] - whole[0]));
    near.checked = forest.near;
    const scale = new ForestScale(forest.near && !nearLabel.hidden ? trained : whole);
    const bases = new Set(rows.filter((row) => row.found).map((row) => row.found.basis));
    caption.replaceChildren(make('b', {}, `${comparison.why}: ${metric}`),
      ` ${bases.size === 1 ? `over ${[...bases][0]}, ` : ''}paired photo by photo${eachAtCounted}, with 95 % intervals.`);
    body.replaceChildren(forestHead(metric), make('ol', {}, shownRows.map((row) => forestRow(row, scale, metric))), forestAxis(scale));
    more.hidden = rows.length === fewRows(rows).length;
    more.textContent = forest.all ? 'Fewer rows' : `All ${counted(rows.length, 'row')}`;
  }
  listen(update);
  return make('div', {},
    make('div', { class: 'bar' },
      make('span', { class: 'group', role: 'group', 'aria-label': data.goals.length > 1 ? 'Goals' : 'Goal' }, buttons),
      others.length ? select : null, runsMenu(), nearLabel),
    make('figure', { class: 'forest' }, caption, body,
      make('div', { class: 'legend' }, Object.values(MARKS).map((mark) => make('span', {}, verdictMark(mark), mark.words)),
        make('span', {}, 'A and B choose what is compared below'), more)),
    comparison.seeds ? make('p', { class: 'soft' }, comparison.seeds) : null);
}

// All chosen runs, best first, what they are compared with among them.
function forestRows(metric) {
  const found = data.comparison.byMetric[metric];
  return shownRuns.filter((run) => isChosen(run) && (run.name === data.comparison.with || run.name in found))
    .map((run) => ({ run, found: found[run.name] ?? null, mean: found[run.name]?.mean ?? 0 }))
    .sort((one, other) => other.mean - one.mean);
}

// The best, the worst, and whatever is no trial like the others.
function fewRows(rows) {
  if (rows.length <= FEW_ROWS) return rows;
  const always = (row) => row.run.untrained || row.run.reference || !row.found || row === rows.at(-1);
  let left = FEW_ROWS - rows.filter(always).length;
  return rows.filter((row) => always(row) || left-- > 0);
}

function spanOf(rows) {
  const ends = rows.flatMap(({ found, mean }) => [mean, found?.low ?? mean, found?.high ?? mean]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  return low === high ? [-1, 1] : [low, high];
}

class ForestScale {
  constructor([low, high]) {
    const margin = 0.05 * (high - low);
    this.low = low - margin;
    this.high = high + margin;
    this.step = niceStep((this.high - this.low) / 5);
  }

  get ticks() {
    const first = Math.ceil(this.low / this.step);
    const count = Math.floor(this.high / this.step) - first + 1;
    return Array.from({ length: count }, (_, index) => (first + index) * this.step);
  }

  share(value) { return (value - this.low) / (this.high - this.low); }

  // Where on the picture; what lies beyond an end is put there.
  at(value) { return `${(100 * Math.min(1, Math.max(0, this.share(value)))).toFixed(2)}%`; }

  holds(value) { return value >= this.low && value <= this.high; }

  text(value) { return value === 0 ? '0' : `${value > 0 ? '+' : '−'}${Number(Math.abs(value).toPrecision(3))}`; }
}

function forestHead(metric) {
  const { label } = runsByName.get(data.comparison.with);
  return make('div', { class: 'forest-row head' }, make('span', {}),
    make('span', { class: 'ends' }, make('span', {}, `← worse than ${label}`), make('span', {}, 'better →')),
    make('span', {}, `${metric} against ${label}`));
}

function forestRow({ run, found }, scale, metric) {
  const verdict = found ? found.verdict : 'reference';
  const words = found ? MARKS[found.verdict].words : 'all are compared with it';
  return make('li', { class: `forest-row ${verdict.replace(' ', '-')} ${run.kind}`, 'data-run': run.name },
    naming(run, [...runTags(run), ...varied(run)].join(' · ')),
    forestInterval(found, scale),
    make('span', { class: 'what' },
      make('span', { class: 'number' }, found ? found.text : `${shown(run.mean[metric], metric)} in the mean`),
      make('span', { class: 'word' }, words),
      found ? make('span', { class: 'soft won', title: found.basis }, `won ${Math.round(100 * found.won)} %`) : null));
}

function forestInterval(found, scale) {
  const lines = scale.ticks.map((tick) => draw('line', { class: 'tick', x1: scale.at(tick), x2: scale.at(tick), y1: 0, y2: '100%' }));
  const svg = draw('svg', { 'aria-hidden': 'true' }, lines,
    draw('line', { class: 'zero', x1: scale.at(0), x2: scale.at(0), y1: 0, y2: '100%' }));
  // Drawn about a point in per cent, so that it stands right at any width.
  const mark = (value, path, name) => draw('svg', { x: scale.at(value), y: '50%', overflow: 'visible' }, draw('path', { class: name, d: path }));
  if (!found) {
    svg.append(mark(0, 'M0 -7L6 0L0 7L-6 0Z', 'mark'));
    return make('span', { class: 'interval' }, svg);
  }
  const { mean, low, high } = found;
  svg.append(draw('line', { class: low === null ? 'range endless' : 'range', x1: low === null ? '0%' : scale.at(low), x2: high === null ? '100%' : scale.at(high), y1: '50%', y2: '50%' }));
  for (const end of [low, high]) if (end !== null && scale.holds(end)) svg.append(mark(end, 'M0 -4L0 4', 'cap'));
  svg.append(scale.holds(mean) ? mark(mean, MARKS[found.verdict].path, 'mark')
    : mark(mean, mean > 0 ? 'M-15 -5L-8 0L-15 5M-9 -5L-2 0L-9 5' : 'M15 -5L8 0L15 5M9 -5L2 0L9 5', 'beyond'));
  return make('span', { class: 'interval' }, svg);
}

function forestAxis(scale) {
  return make('div', { class: 'forest-row axis', 'aria-hidden': 'true' }, make('span', {}),
    make('span', { class: 'interval' }, draw('svg', {}, scale.ticks.map((tick) => draw('text', { x: scale.at(tick), y: 13, 'text-anchor': 'middle' }, scale.text(tick))))),
    make('span', {}));
}

function verdictMark(mark) {
  const name = mark === MARKS.better ? 'better' : mark === MARKS.worse ? 'worse' : 'no-difference';
  return draw('svg', { class: `key ${name}`, viewBox: '-9 -9 18 18', width: 15, height: 15, 'aria-hidden': 'true' }, draw('path', { class: 'mark', d: mark.path }));
}

// What a run is, besides a trial that ran to its end.
function runTags(run) {
  const tags = [];
  if (run.kind === 'classical') tags.push('classical method');
  if (run.kind === 'applied') tags.push('without training');
  if (run.kind === 'entrant') tags.push('another program');
  if (isRepeat(run)) tags.push('another seed');
  if (run.seeds > 1) tags.push(`${run.seeds} seeds`);
  if (['pruned', 'running', 'failed'].includes(run.state)) tags.push(run.state);
  if (run.name === data.knee) tags.push('knee');
  if (run.reference) tags.push(run.name === data.comparison?.with ? 'reference' : 'named by the question');
  return tags;
}

// What tells it from the others, where that is short; the board has a column of each.
function varied(run) {
  const values = Object.entries(run.values).filter(([path]) => telling.has(path));
  return values.length && values.length < 5 ? [values.map(([path, value]) => `${data.names[path]} ${brief(value)}`).join(', ')] : [];
}
