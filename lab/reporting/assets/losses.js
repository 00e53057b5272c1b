// The training's own losses by epoch, as they were logged: each term before its weight.

const LOGITS = ['real_logit', 'fake_logit'];

function showLosses() {
  const place = section('losses');
  const names = [...new Set(trainedRuns.flatMap((run) => Object.keys(run.losses.values)))];
  if (firstEpoch === lastEpoch || !names.length) { place.remove(); return; }
  const panel = new Panel(() => lossCharts(names), 320);
  const judged = LOGITS.every((name) => names.includes(name));
  const legend = make('div', { class: 'legend' });
  place.append(make('p', { class: 'soft' }, 'Means over an epoch’s training steps, each term as it is before its weight: terms of runs with other weights can be compared, totals cannot.'),
    judged ? make('p', { class: 'soft' }, 'Logits are what the discriminator says of true photos and of completed ones, above 0 for “real”. It learns while true lies above completed; where they meet it tells nothing apart, and where they drift far apart it has won and teaches nothing.') : null,
    panel.element, legend);
  panel.begin();
  listen(() => legend.replaceChildren(...sideLegend(''),
    ...judged ? [make('span', {}, make('span', { class: 'swatch' }), 'true photos'), make('span', {}, make('span', { class: 'swatch broken' }), 'completed photos')] : []));
}

function lossCharts(names) {
  const first = ['total', 'discriminator'].filter((name) => names.includes(name));
  const terms = names.filter((name) => !first.includes(name) && !LOGITS.includes(name)).sort();
  const charts = [...first, ...terms].map((name) => ({
    title: name === 'discriminator' ? 'discriminator’s loss' : name,
    hint: name === 'total' ? 'the weighted sum that the network descends'
      : name.startsWith('weight/') ? 'what the term weighs, balanced as training goes' : `${name}, before its weight`,
    text: brief,
    log: true,
    lines: chosenTrained().map((run) => lossLine(run, name)).filter((line) => line.points.length),
    flat: [],
  }));
  if (LOGITS.every((name) => names.includes(name))) charts.splice(first.length, 0, logitChart());
  // What only some runs were trained by comes last.
  const rank = (chart) => (chart.lines.length < chosenTrained().filter((run) => run.losses.epochs.length).length ? 1 : 0);
  return charts.filter((chart) => chart.lines.length).sort((one, other) => rank(one) - rank(other));
}

function lossLine(run, name) {
  return { run, best: run.best, points: points(run.losses.epochs, run.losses.values[name], null) };
}

function logitChart() {
  const words = { real_logit: ', true photos', fake_logit: ', completed photos' };
  return {
    title: 'discriminator’s logits',
    hint: 'means over all its patches',
    text: brief,
    lines: chosenTrained().flatMap((run) => LOGITS.map((name) => ({
      ...lossLine(run, name), best: null, dashed: name === 'fake_logit', words: words[name],
    }))).filter((line) => line.points.length),
    flat: [['0: undecided', 0]],
    flatAtEnd: true,
  };
}
