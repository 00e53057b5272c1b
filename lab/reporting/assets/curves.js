// Every run's metrics by epoch: A and B with their spread over the photos, the others in gray.

const HEIGHT = 210;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 24;

function showCurves() {
  const place = section('curves');
  const first = [...new Set([...data.goals, 'hole_psnr', 'hole_ssim', 'rim_ssim', 'hole_l1'])]
    .filter((metric) => data.metrics[metric]).slice(0, 4);
  if (firstEpoch === lastEpoch) { place.remove(); return; } // points are no curves; the table has them
  const legend = make('div', { class: 'legend', 'aria-live': 'polite' });
  const charts = make('div', { class: 'charts' });
  const all = Object.keys(data.metrics);
  place.append(make('div', { class: 'bar' },
    make('label', { class: 'check' }, make('input', {
      type: 'checkbox', onchange: (event) => build(event.target.checked ? all : first),
    }), `all ${all.length} metrics`),
    make('label', { class: 'check' }, make('input', {
      type: 'checkbox', checked: true, onchange: (event) => { whole = event.target.checked; build(chosen); },
    }), 'spread and baselines'),
    legend), charts);

  let drawings = [];
  let chosen = first;
  let whole = true;
  let width = 0;
  function build(metrics) {
    chosen = metrics;
    const columns = Math.max(1, Math.floor((charts.clientWidth + 22) / (420 + 22)));
    width = charts.clientWidth;
    drawings = metrics.map((metric) => new Curves(metric, whole, (width + 22) / columns - 22));
    charts.replaceChildren(...drawings.map((drawing) => drawing.element));
    update();
  }
  function update() {
    for (const drawing of drawings) drawing.update();
    legend.replaceChildren(...['a', 'b'].filter((side) => runsByName.has(state[side].run))
      .map((side) => make('span', {},
        make('span', { class: 'swatch', style: `color: var(--${side})` }),
        `${side.toUpperCase()}: ${runsByName.get(state[side].run).label}${whole ? ', ± 1 standard deviation over the photos' : ''}`)),
    ...Object.keys(untrainedMeans).length
      ? [make('span', {}, make('span', { class: 'swatch dashed' }), Object.keys(untrainedMeans).join(', '))] : [],
    trainedRuns.length > 2 ? make('span', {}, 'click a line to see the run as A') : '');
  }
  build(first);
  listen(update);
  new ResizeObserver(() => { if (charts.clientWidth !== width) build(chosen); }).observe(charts);
}

class Curves {
  // whole: the scale leaves room for the spread and the baselines, not only for the runs' means.
  // width: on screen, in pixels, so that letters come out as large as elsewhere.
  constructor(metric, whole, width) {
    this.metric = metric;
    this.width = width;
    this.whole = whole;
    this.svg = draw('svg', { viewBox: `0 0 ${this.width} ${HEIGHT}`, role: 'img', 'aria-label': this.summary() });
    this.element = make('figure', { class: 'chart' },
      make('h3', { title: data.metrics[metric].definition },
        `${metric} ${arrow(metric)}${data.metrics[metric].unit ? ` (${data.metrics[metric].unit})` : ''}`), this.svg);
    this.scale();
    this.frame();
    this.lines = new Map(trainedRuns.map((run) => [run, this.line(run)]));
    this.now = draw('line', { class: 'now', y1: TOP, y2: HEIGHT - BOTTOM });
    this.svg.append(...this.lines.values(), this.now);
  }

  summary() {
    const best = trainedRuns[0];
    return `${this.metric} by epoch, for ${trainedRuns.length} runs. ${best.label}: `
      + best.epochs.map((epoch, index) => `epoch ${epoch} ${shown(best.means[this.metric]?.[index], this.metric)}`).join(', ');
  }

  scale() {
    const values = [...trainedRuns.flatMap((run) => run.means[this.metric] ?? []),
      ...this.whole ? Object.values(untrainedMeans).map((means) => means[this.metric]) : []]
      .filter((value) => Number.isFinite(value));
    let [low, high] = [Math.min(...values), Math.max(...values)];
    // Room for the spread of the best run, which begins as A.
    const spread = this.whole ? Math.max(0, ...(trainedRuns[0].spreads[this.metric] ?? []).filter(Number.isFinite)) : 0;
    low -= spread;
    high += spread;
    if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
    this.low = low;
    this.high = high;
  }

  x(epoch) {
    const share = (epoch - firstEpoch) / (lastEpoch - firstEpoch);
    return LEFT + share * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const share = Math.min(1.03, Math.max(-0.03, (value - this.low) / (this.high - this.low)));
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  }

  frame() {
    const step = niceStep((this.high - this.low) / 4);
    for (let value = Math.ceil(this.low / step) * step; value <= this.high; value += step) {
      this.svg.append(
        draw('line', { class: 'axis', x1: LEFT, x2: this.width - RIGHT, y1: this.y(value), y2: this.y(value) }),
        draw('text', { x: LEFT - 6, y: this.y(value) + 4, 'text-anchor': 'end' }, Number(value.toPrecision(3)).toString()));
    }
    const between = Math.max(1, Math.round(niceStep(lastEpoch / 8)));
    for (let epoch = firstEpoch; epoch <= lastEpoch; epoch += 1) {
      if (epoch % between && epoch !== firstEpoch) continue;
      this.svg.append(draw('text', { x: this.x(epoch), y: HEIGHT - 7, 'text-anchor': 'middle' }, String(epoch)));
    }
    for (const [label, means] of this.whole ? Object.entries(untrainedMeans) : []) {
      if (!Number.isFinite(means[this.metric])) continue;
      const y = this.y(means[this.metric]);
      this.svg.append(draw('line', { class: 'base', x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y },
        draw('title', {}, `${label}: ${shown(means[this.metric], this.metric)}`)));
    }
  }

  line(run) {
    const points = run.epochs.map((epoch, index) => [epoch, run.means[this.metric]?.[index], run.spreads[this.metric]?.[index]])
      .filter(([, mean]) => Number.isFinite(mean));
    const path = points.map(([epoch, mean], index) => `${index ? 'L' : 'M'}${this.x(epoch).toFixed(1)} ${this.y(mean).toFixed(1)}`).join('');
    const edge = (sign) => points.map(([epoch, mean, spread]) => `${this.x(epoch).toFixed(1)} ${this.y(mean + sign * (spread ?? 0)).toFixed(1)}`);
    const group = draw('g', { onclick: (event) => changeSide(event.shiftKey ? 'b' : 'a', { run: run.name }) },
      draw('title', {}, `${run.label}: ${points.map(([epoch, mean]) => `${epoch}: ${shown(mean, this.metric)}`).join('  ')}`),
      draw('path', { class: 'band', fill: 'none', d: this.whole && points.length > 1 ? `M${edge(1).join('L')}L${edge(-1).reverse().join('L')}Z` : '' }),
      draw('path', { class: 'run', d: path }), draw('path', { class: 'hit', d: path }),
      points.length < 3 ? points.map(([epoch, mean]) => draw('circle', { class: 'dot', cx: this.x(epoch), cy: this.y(mean), r: 3, fill: 'var(--faint)' })) : []);
    return group;
  }

  update() {
    for (const [run, group] of this.lines) {
      const sides = ['a', 'b'].filter((side) => state[side].run === run.name);
      group.setAttribute('class', sides.length ? sides[0] : '');
      if (sides.length) this.svg.insertBefore(group, this.now); // in front of the gray ones
    }
    this.now.setAttribute('x1', this.x(state.epoch));
    this.now.setAttribute('x2', this.x(state.epoch));
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}
