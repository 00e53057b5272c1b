// What every part of the page shares. Names from disk reach the page as text nodes or as properties,
// never as markup: nothing here parses HTML.

const data = JSON.parse(document.getElementById('data').textContent);
const goal = data.goals[0];
const runsByName = new Map(data.runs.map((run) => [run.name, run]));
// Runs that have pictures or scores: the others failed or have only begun.
const shownRuns = data.runs.filter((run) => run.epochs.length);
const trainedRuns = shownRuns.filter((run) => !run.untrained);
const rankedRuns = shownRuns.filter((run) => ['complete', 'run'].includes(run.state));
// Trained another one's setting from another seed: in tables it counts there.
const isRepeat = (run) => run.state === 'repeat';
// Runs that only score a network have its one epoch.
const lastEpoch = Math.max(1, ...trainedRuns.map((run) => run.epochs.at(-1)));
const firstEpoch = Math.min(lastEpoch, ...trainedRuns.map((run) => run.epochs[0]));
// Delivered pictures, methods, and what is asked of a network that was there before: no epoch is to be chosen.
const hasEpochs = firstEpoch < lastEpoch;
// By several goals no epoch is the best.
const countedEpoch = data.goals.length > 1 ? 'after its last epoch' : 'at its best epoch';
const eachAtCounted = hasEpochs ? `, each run ${countedEpoch}` : '';
// What a question sets in every trial, or wherever another option asks for it, tells no run from another. Of a single
// run everything is told.
const differing = Object.keys(data.names).filter((path) => path !== 'variant' && new Set(data.runs.flatMap((run) => run.values[path] ?? []).map(String)).size > 1);
const telling = new Set(differing.length ? differing : Object.keys(data.names).filter((path) => path !== 'variant'));
// What needs no training has one value of each metric, not a curve.
const untrainedMeans = Object.fromEntries(
  shownRuns.filter((run) => run.untrained).map((run) => [run.label,
    Object.fromEntries(Object.entries(run.means).map(([metric, values]) => [metric, values[0]]))]));

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const section = (id) => document.getElementById(id);

const counted = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;
function listed(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function decimals(metric) {
  return data.metrics[metric]?.unit === 'dB' ? 2 : 3;
}
function shown(value, metric) {
  return value === null || value === undefined ? '–' : value.toFixed(decimals(metric));
}
function brief(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return Number(value.toPrecision(3)).toString();
  return String(value);
}
const arrow = (metric) => (data.metrics[metric].higher ? '↑' : '↓');

// What the person has chosen. Whoever shows some of it listens. A side's epoch is a number, "slider", or
// "best": that of its run.
const state = {
  epoch: lastEpoch,
  a: { run: null, stage: 'completed', epoch: 'best' },
  b: { run: null, stage: 'completed', epoch: 'best' },
  metric: goal,
};
const listeners = [];
const listen = (listener) => listeners.push(listener);
function change(values) {
  Object.assign(state, values);
  for (const listener of listeners) listener();
}
function changeSide(side, values) {
  change({ [side]: { ...state[side], ...values } });
}

// Moves the sides that follow the slider; where none does, those that show their best epoch take to it.
function moveSlider(epoch) {
  const of = (wanted) => ['a', 'b'].filter((side) => runsByName.has(state[side].run) && state[side].epoch === wanted);
  const turned = of('slider').length ? [] : of('best');
  change({ epoch, ...Object.fromEntries(turned.map((side) => [side, { ...state[side], epoch: 'slider' }])) });
}

// The epoch that a side shows. A run that ended early stays at its last one.
function epochOf(side) {
  const run = runsByName.get(side.run);
  if (!run) return null;
  const wanted = side.epoch === 'slider' ? state.epoch : side.epoch === 'best' ? run.best : side.epoch;
  return run.epochs.findLast((epoch) => epoch <= wanted) ?? run.epochs[0] ?? null;
}
function valueAt(values, run, epoch) {
  const index = run.epochs.indexOf(epoch);
  return index < 0 ? null : values?.[index] ?? null;
}

const bestOf = (values, run) => valueAt(values, run, run.best);

// How much better A is than B, in the metric's own direction; null where a value is missing.
function lead(a, b, metric) {
  if (a === null || a === undefined || b === null || b === undefined) return null;
  return data.metrics[metric].higher ? a - b : b - a;
}

// Pictures: files beside the page, or texts inside it that become pictures when they are shown.
const texts = new Map();
function address(group, leaf) {
  const element = document.getElementById(group);
  if (!element) return `pictures/${group}/${leaf}.png`;
  if (!texts.has(group)) {
    texts.set(group, new Map(element.textContent.split('\n').map((line) => line.split(' '))));
  }
  const text = texts.get(group).get(leaf);
  return text ? `data:image/png;base64,${text}` : null;
}
const fixedPicture = (photo, what) => address(`p${photo}`, what);
function epochPicture(run, photo, stage, epoch) {
  if (!run?.pictures[photo]?.[stage]?.includes(epoch)) return null;
  return address(`p${photo}/r${data.runs.indexOf(run)}`, `${epoch}-${stage}`);
}

// Calls back once, when the element is near the visible part of the page.
function whenNear(element, callback) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      callback();
    }
  }, { rootMargin: '300px' });
  observer.observe(element);
}

function store(key, value) {
  // Some browsers keep nothing for pages that are opened from a file.
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* lasts as long as the page */ }
}
function recall(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}
