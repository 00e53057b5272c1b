// Curves by epoch: A and B in their colours, the others in gray; a click on a line makes its run A.

const HEIGHT = 210;
const LEFT = 50;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 24;
const curves = { all: false, spread: false, flat: true };
keep('curves', () => curves, (value) => Object.assign(curves, value));

function showCurves() {
  const place = section('curves');
  if (firstEpoch === lastEpoch) { place.remove(); return; } // points are no curves; the board has them
  const all = Object.keys(data.metrics);
  const few = [...new Set([...data.shown, 'hole_l1'])].filter((metric) => data.metrics[metric]).slice(0, 4);
  const check = (name, text) => make('label', { class: 'check' }, make('input', {
    type: 'checkbox', checked: curves[name], onchange: (event) => { curves[name] = event.target.checked; panel.build(); change({}); },
  }), text);
  const legend = make('div', { class: 'legend' });
  const panel = new Panel(() => (curves.all ? all : few).map(metricChart));
  place.append(make('div', { class: 'bar' }, all.length > few.length ? check('all', `all ${all.length} metrics`) : null,
    check('spread', 'spread over the photos'), shownRuns.some((run) => run.untrained) ? check('flat', 'what needs no training') : null, runsMenu()), panel.element, legend);
  panel.begin();
  listen(() => legend.replaceChildren(...sideLegend(curves.spread ? ', ± 1 standard deviation over the photos' : ''),
    ...flatRuns().length ? [make('span', {}, make('span', { class: 'swatch dashed' }), 'without training')] : [],
    make('span', {}, make('span', { class: 'ring' }), 'best epoch'),
    chosenTrained().length > 2 ? make('span', {}, 'click a line to see the run as A') : ''));
}

const chosenTrained = () => trainedRuns.filter(isChosen);
const flatRuns = () => shownRuns.filter((run) => curves.flat && run.untrained && isChosen(run));

function sideLegend(words) {
  return ['a', 'b'].filter((side) => runsByName.has(state[side].run) && !runsByName.get(state[side].run).untrained)
    .map((side) => make('span', {}, make('span', { class: 'swatch', style: `color: var(--${side})` }),
      `${side.toUpperCase()}: ${runsByName.get(state[side].run).label}${words}`));
}

function metricChart(metric) {
  const { unit, definition } = data.metrics[metric];
  return {
    title: `${metric} ${arrow(metric)}${unit ? ` (${unit})` : ''}`,
    hint: definition,
    text: (value) => shown(value, metric),
    lines: chosenTrained().map((run) => ({
      run, best: run.best, points: points(run.epochs, run.means[metric], curves.spread ? run.spreads[metric] : null),
    })),
    flat: flatRuns().map((run) => [run.label, run.means[metric]?.[0]]).filter(([, value]) => Number.isFinite(value)),
  };
}

function points(epochs, values, spreads) {
  return epochs.map((epoch, index) => [epoch, values?.[index], spreads?.[index]]).filter(([, value]) => Number.isFinite(value));
}

// Charts beside each other, drawn anew when their width or the choice of runs changes.
class Panel {
  // charts() gives what each draws (see Curves); least: how narrow one may be, in pixels.
  constructor(charts, least = 420) {
    this.charts = charts;
    this.least = least;
    this.element = make('div', { class: 'charts', style: `--least: ${least}px` });
    this.runs = '';
  }

  begin() {
    this.build();
    new ResizeObserver(() => { if (this.element.clientWidth !== this.width) this.build(); }).observe(this.element);
    listen(() => {
      if ([...chosenRuns].join('\n') === this.runs) for (const drawing of this.drawings) drawing.update();
      else this.build();
    });
  }

  build() {
    this.width = this.element.clientWidth;
    this.runs = [...chosenRuns].join('\n');
    const columns = Math.max(1, Math.floor((this.width + 22) / (this.least + 22)));
    this.drawings = this.charts().map((chart) => new Curves(chart, (this.width + 22) / columns - 22));
    this.element.replaceChildren(...this.drawings.map((drawing) => drawing.element));
    for (const drawing of this.drawings) drawing.update();
  }
}

class Curves {
  // chart: {title, hint, text(value), log, lines: [{run, points, best, dashed}], flat: [[words, value]], flatAtEnd,
  // span: values that the axis reaches, too}
  // width: on screen, in pixels, so that letters come out as large as elsewhere.
  constructor(chart, width) {
    this.chart = chart;
    this.width = width;
    this.svg = draw('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': this.summary() });
    this.element = make('figure', { class: 'chart' }, make('h3', { title: chart.hint }, chart.title), this.svg);
    this.scale();
    this.frame();
    this.lines = chart.lines.map((line) => [line.run, this.line(line)]);
    this.now = draw('line', { class: 'now', y1: TOP, y2: HEIGHT - BOTTOM });
    this.svg.append(...this.lines.map(([, group]) => group), this.now);
    this.drawFlat();
  }

  summary() {
    const [first] = this.chart.lines;
    return `${this.chart.title} by epoch, ${counted(this.chart.lines.length, 'line')}${first ? `. ${first.run.label}: ${first.points.map(([epoch, value]) => `epoch ${epoch} ${this.chart.text(value)}`).join(', ')}` : ''}`;
  }

  scale() {
    const values = [...this.chart.lines.flatMap((line) => line.points.map(([, value]) => value)), ...this.chart.flat.map(([, value]) => value), ...this.chart.span ?? []];
    let [low, high] = [Math.min(...values), Math.max(...values)];
    this.log = Boolean(this.chart.log) && low > 0 && high > 20 * low;
    if (this.log) { this.low = low; this.high = high; return; }
    // Room for the spread of the first run, which begins as A.
    const spread = Math.max(0, ...(this.chart.lines[0]?.points ?? []).map(([, , value]) => value ?? 0));
    low -= spread;
    high += spread;
    if (!(high > low)) [low, high] = Number.isFinite(low) ? [low - 0.5, high + 0.5] : [0, 1];
    this.low = low;
    this.high = high;
  }

  x(epoch) {
    return LEFT + ((epoch - firstEpoch) / (lastEpoch - firstEpoch)) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const place = this.log ? Math.log(value / this.low) / Math.log(this.high / this.low) : (value - this.low) / (this.high - this.low);
    return HEIGHT - BOTTOM - Math.min(1.03, Math.max(-0.03, place)) * (HEIGHT - TOP - BOTTOM);
  }

  ticks() {
    if (this.log) {
      const powers = Array.from({ length: 40 }, (_, index) => index - 20).flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
      const inside = powers.filter((value) => value >= this.low && value <= this.high);
      return inside.length > 6 ? inside.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6)) : inside;
    }
    const step = niceStep((this.high - this.low) / 5);
    const first = Math.ceil(this.low / step);
    return Array.from({ length: Math.floor(this.high / step) - first + 1 }, (_, index) => (first + index) * step);
  }

  // With as many digits as tell it from the next one.
  tickText(value) {
    if (this.log) return value < 0.001 ? value.toExponential(0) : Number(value.toPrecision(1)).toString();
    return Number(value.toFixed(Math.max(0, -Math.floor(Math.log10(niceStep((this.high - this.low) / 5)) + 1e-9)))).toString();
  }

  frame() {
    for (const value of this.ticks()) {
      this.svg.append(
        draw('line', { class: 'axis', x1: LEFT, x2: this.width - RIGHT, y1: this.y(value), y2: this.y(value) }),
        draw('text', { x: LEFT - 6, y: this.y(value) + 4, 'text-anchor': 'end' }, this.tickText(value)));
    }
    const between = Math.max(1, Math.round(niceStep(lastEpoch / 8)));
    for (let epoch = firstEpoch; epoch <= lastEpoch; epoch += 1) {
      if (epoch % between && epoch !== firstEpoch) continue;
      this.svg.append(draw('text', { x: this.x(epoch), y: HEIGHT - 7, 'text-anchor': 'middle' }, String(epoch)));
    }
    if (this.log) this.svg.append(draw('text', { x: this.width - RIGHT, y: TOP + 6, 'text-anchor': 'end' }, 'logarithmic'));
  }

  // Lines that lie on each other share their words.
  drawFlat() {
    let last = null;
    for (const [words, value] of [...this.chart.flat].sort((one, other) => other[1] - one[1])) {
      const y = this.y(value);
      this.svg.append(draw('line', { class: 'base', x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y },
        draw('title', {}, `${words}: ${this.chart.text(value)}`)));
      if (last && y - last.y < 13) {
        last.text.textContent += `, ${words}`;
      } else {
        const place = this.chart.flatAtEnd ? { x: this.width - RIGHT - 4, 'text-anchor': 'end' } : { x: LEFT + 4 };
        last = { y, text: draw('text', { ...place, y: y - 4 }, words) };
        this.svg.append(last.text);
      }
    }
  }

  line({ run, points: found, best, dashed, words = '' }) {
    const at = (epoch, value) => `${this.x(epoch).toFixed(1)} ${this.y(value).toFixed(1)}`;
    const path = found.map(([epoch, value], index) => `${index ? 'L' : 'M'}${at(epoch, value)}`).join('');
    const edge = (sign) => found.map(([epoch, value, spread]) => at(epoch, value + sign * (spread ?? 0)));
    const banded = found.length > 1 && found.some(([, , spread]) => spread);
    const group = draw('g', { onclick: (event) => changeSide(event.shiftKey ? 'b' : 'a', { run: run.name }) },
      draw('title', {}, `${run.label}${words}: ${found.map(([epoch, value]) => `${epoch}: ${this.chart.text(value)}`).join('  ')}`),
      draw('path', { class: 'band', fill: 'none', d: banded ? `M${edge(1).join('L')}L${edge(-1).reverse().join('L')}Z` : '' }),
      draw('path', { class: dashed ? 'run dashed' : 'run', d: path }), draw('path', { class: 'hit', d: path }),
      found.length < 3 ? found.map(([epoch, value]) => draw('circle', { class: 'dot', cx: this.x(epoch), cy: this.y(value), r: 3, fill: 'var(--faint)' })) : []);
    const mark = found.find(([epoch]) => epoch === best);
    if (mark) group.append(draw('circle', { class: 'best', cx: this.x(mark[0]), cy: this.y(mark[1]), r: 4 }));
    return group;
  }

  update() {
    for (const [run, group] of this.lines) {
      const side = ['a', 'b'].find((one) => state[one].run === run.name);
      group.setAttribute('class', side ?? '');
      if (side) this.svg.insertBefore(group, this.now); // in front of the gray ones
    }
    const follows = ['a', 'b'].some((side) => state[side].epoch === 'slider');
    this.now.style.display = follows ? '' : 'none';
    this.now.setAttribute('x1', this.x(state.epoch));
    this.now.setAttribute('x2', this.x(state.epoch));
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}
