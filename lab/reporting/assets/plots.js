// Optuna's plots. plotly's code is text in the page until the first plot comes near.

let plotting = null;
function loadPlotting() {
  if (!plotting) {
    const script = document.createElement('script');
    script.textContent = document.getElementById('plotting').textContent;
    document.head.append(script);
    plotting = window.Plotly;
  }
  return plotting;
}

function showPlots() {
  const place = section('weights');
  const titles = Object.keys(data.figures);
  if (!titles.length) {
    // Of variants alone, the verdict shows all that there is.
    if (data.isStudy && Object.keys(data.names).some((path) => path !== 'variant')) {
      place.append(make('p', { class: 'soft' }, 'These plots need at least two trials that ran to their end.'));
    } else {
      place.remove();
    }
    return;
  }
  const isWide = (title) => title.startsWith('Parallel') || title.startsWith('Slices') || title.startsWith('Pareto');
  const halves = titles.filter((title) => !isWide(title));
  const alone = halves.length % 2 ? halves.at(-1) : null;
  const plots = titles.map((title) => {
    const drawing = make('div');
    const figure = data.figures[title];
    const wide = isWide(title) || title === alone;
    const panels = Object.keys(data.names).length + (title.startsWith('Parallel') ? 1 : 0);
    const element = make('div', { class: wide ? 'plot full' : 'plot' }, make('h3', {}, title),
      make('div', {
        class: 'drawing', role: 'img', 'aria-label': `${title}; the numbers stand in the result table`,
        style: isWide(title) ? `--least: ${(title.startsWith('Slices') ? 150 : 110) * panels}px` : null,
      }, drawing));
    whenNear(element, () => renderPlot(drawing, figure));
    return { element, drawing, figure };
  });
  place.append(data.caveat ? make('p', { class: 'caution' }, data.caveat) : '',
    make('p', { class: 'hint' }, 'Point at a line, bar or dot to read its values.'
      + (titles.every((title) => title.startsWith('Sensitivity')) ? '' : ' These are Optuna’s plots of the trials.')
      + (titles[0].startsWith('Sensitivity') ? ' Sensitivity is how much better than the reference (without one, the best), paired by photo, with 95 % intervals; above 0 is better.' : '')
      + (titles.some((title) => title.startsWith('Parallel')) ? ' Colour follows the goal, as the bar beside the parallel coordinates says.' : '')),
    make('div', { class: 'plots' }, plots.map((plot) => plot.element)));
  const redraw = () => plots.filter((plot) => plot.drawing.childElementCount)
    .forEach((plot) => renderPlot(plot.drawing, plot.figure));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
}

function renderPlot(place, figure) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line, raised] = ['--ink', '--line', '--raised'].map((name) => style.getPropertyValue(name).trim());
  const layout = structuredClone(figure.layout);
  layout.font = { ...layout.font, color: ink, size: 11, family: style.getPropertyValue('--sans').trim() };
  layout.autosize = true;
  delete layout.width;
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    Object.assign(layout[name], { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, exponentformat: 'none' });
  }
  if (figure.data[0].type === 'scatter') { // a bar has a name, and none may be left out
    for (const name of Object.keys(layout).filter((key) => key.startsWith('xaxis'))) {
      Object.assign(layout[name], { showgrid: false }, layout[name].type === 'category' ? {} : { nticks: 5 });
    }
  }
  for (const note of layout.annotations ?? []) Object.assign(note, { font: { ...note.font, color: ink }, bgcolor: raised, opacity: 0.85, borderpad: 0 });
  loadPlotting().react(place, coloured(structuredClone(figure.data)), layout, {
    responsive: true, displaylogo: false, displayModeBar: false,
  });
}

// Traces say how good what they show is; the colour for that is another on a dark page.
function coloured(traces) {
  const scale = data.scales[matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'];
  for (const trace of traces) {
    if (typeof trace.meta === 'number') {
      const colour = colourAt(scale, trace.meta);
      if (trace.line) trace.line.color = colour;
      if (trace.marker) trace.marker.color = colour;
    } else if (trace.marker?.colorscale) {
      // Python's scale is the light one, possibly turned round.
      const turned = trace.marker.colorscale[0][1] !== colourAt(data.scales.light, 0);
      const shades = turned ? [...scale].reverse() : scale;
      trace.marker.colorscale = shades.map((shade, index) => [index / (shades.length - 1), shade]);
    }
  }
  return traces;
}

function colourAt(scale, share) {
  const place = share * (scale.length - 1);
  const index = Math.min(Math.floor(place), scale.length - 2);
  const parts = [scale[index], scale[index + 1]].map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  return `rgb(${parts[0].map((value, at) => Math.round(value + (place - index) * (parts[1][at] - value))).join(', ')})`;
}
