// The training's own losses by epoch, as they were logged: each term before its weight, how hard it pulls with it, and
// how far the steps go.

// What is no loss, by what its names begin with: each drawn apart, all of a kind on one axis.
const BESIDE = [
  {
    prefix: 'gradient/',
    heading: 'How hard each term pulls',
    said: 'The norm of each term’s gradient, times its weight, at what trains of the network: at the first step of every epoch, so one batch’s. All have one axis. What lies far below the others decides little, whatever its weight looks like.',
    hint: (term) => `how hard ${term} pulls: the norm of its weighted gradient`,
  },
  {
    prefix: 'update/',
    heading: 'How far a step moves the weights',
    said: 'The norm of a step over the norm of the weights, in the mean over an epoch’s steps: how much of a network one step replaces. In the first epoch a few thousandths served every network that was tried; at a hundredth and more, some learned less or exploded: a lower learning rate is worth a try then. Judges were tried less, and go further as published. All have one axis.',
    hint: (moved) => `how far a step moves the ${moved}: its norm over that of the weights`,
  },
];

function showLosses() {
  const place = section('losses');
  const names = [...new Set(trainedRuns.flatMap((run) => Object.keys(run.losses.values)))];
  if (firstEpoch === lastEpoch || !names.length) { place.remove(); return; }
  const judges = data.judges.filter((judge) => judge.logits.every((name) => names.includes(name)));
  const panel = new Panel(() => lossCharts(names, judges), 320);
  const said = make('div');
  const legend = make('div', { class: 'legend' });
  const beside = BESIDE.map((kind) => ({ ...kind, names: names.filter((name) => name.startsWith(kind.prefix)) }))
    .filter((kind) => kind.names.length)
    .map((kind) => ({ ...kind, panel: new Panel(() => besideCharts(kind), 320) }));
  place.append(make('p', { class: 'soft' }, 'Means over an epoch’s training steps, each term as it is before its weight: terms of runs with other weights can be compared, totals cannot.'),
    said, panel.element, legend,
    ...beside.flatMap((kind) => [make('h3', {}, kind.heading), make('p', { class: 'soft' }, kind.said), kind.panel.element]));
  panel.begin();
  beside.forEach((kind) => kind.panel.begin());
  listen(() => {
    said.replaceChildren(...judges.length ? logitsSaid() : []);
    legend.replaceChildren(...sideLegend(''),
      ...judges.length ? [make('span', {}, make('span', { class: 'swatch' }), 'true photos'), make('span', {}, make('span', { class: 'swatch broken' }), 'completed photos')] : []);
  });
}

// The adversarial losses that the judges of the chosen runs were trained by.
function chosenKinds() {
  return [...new Set(chosenTrained().map((run) => run.losses.kind).filter((kind) => kind !== null))];
}

function logitsSaid() {
  const kinds = chosenKinds();
  const paragraph = (kind) => `${kinds.length > 1 ? `${kind.replaceAll('_', ' ')}: ` : ''}${data.kinds[kind].logits}`;
  return kinds.map((kind) => make('p', { class: 'soft' }, paragraph(kind)));
}

function lossCharts(names, judges) {
  const ofJudges = judges.flatMap((judge) => [judge.loss, ...judge.logits]);
  const terms = names.filter((name) => name !== 'total' && !ofJudges.includes(name) && !BESIDE.some((kind) => name.startsWith(kind.prefix))).sort();
  const alone = judges.length === 1;
  const charts = [
    ...names.includes('total') ? [lossChart('total', 'total', 'the weighted sum that the network descends')] : [],
    ...judges.flatMap((judge) => {
      const who = alone ? 'judge’s' : `${judge.name} judge’s`;
      return [
        ...names.includes(judge.loss) ? [lossChart(judge.loss, `${who} loss`, `what the judge of ${judge.shown} descends`)] : [],
        logitChart(judge, `${who} logits`),
      ];
    }),
    ...terms.map((name) => lossChart(name, name, name.startsWith('weight/') ? 'what the term weighs, balanced as training goes' : `${name}, before its weight`)),
  ];
  return ofMostRunsFirst(charts);
}

function besideCharts({ prefix, names, hint }) {
  const charts = names.map((name) => name.slice(prefix.length)).sort().map((title) => lossChart(`${prefix}${title}`, title, hint(title)));
  const positive = charts.flatMap((chart) => chart.lines.flatMap((line) => line.points.map(([, value]) => value))).filter((value) => value > 0);
  const span = positive.length ? [Math.min(...positive), Math.max(...positive)] : [];
  return ofMostRunsFirst(charts.map((chart) => ({ ...chart, span })));
}

// What only some runs were trained by comes last.
function ofMostRunsFirst(charts) {
  const rank = (chart) => (chart.runs < chosenTrained().filter((run) => run.losses.epochs.length).length ? 1 : 0);
  return charts.filter((chart) => chart.runs).sort((one, other) => rank(one) - rank(other));
}

function lossLine(run, name) {
  return { run, best: run.best, points: points(run.losses.epochs, run.losses.values[name], null) };
}

function lossChart(name, title, hint) {
  const lines = chosenTrained().map((run) => lossLine(run, name)).filter((line) => line.points.length);
  return { title, hint, text: brief, log: true, lines, runs: lines.length, flat: [] };
}

function logitChart(judge, title) {
  const [real, fake] = judge.logits;
  const words = { [real]: ', true photos', [fake]: ', completed photos' };
  const lines = chosenTrained().flatMap((run) => judge.logits.map((name) => ({
    ...lossLine(run, name), best: null, dashed: name === fake, words: words[name],
  }))).filter((line) => line.points.length);
  const undecided = [...new Set(chosenKinds().map((kind) => data.kinds[kind].undecided).filter((value) => value !== null))];
  return {
    title,
    hint: `what the judge of ${judge.shown} answers, means over its patches and scales`,
    text: brief,
    lines,
    runs: new Set(lines.map((line) => line.run)).size,
    flat: undecided.map((value) => [`${value}: undecided`, value]),
    flatAtEnd: true,
  };
}
