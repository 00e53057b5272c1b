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
    if (data.isStudy && Object.keys(data.names).length) {
      place.append(make('p', { class: 'soft' }, 'These plots need at least two trials that ran to their end.'));
    } else {
      place.remove();
    }
    return;
  }
  const plots = titles.map((title) => {
    const drawing = make('div');
    const figure = data.figures[title];
    const wide = title.startsWith('Parallel') || title.startsWith('Slices') || title.startsWith('Pareto') || titles.length === 1;
    const panels = Object.keys(data.names).length + (title.startsWith('Parallel') ? 1 : 0);
    const element = make('div', { class: wide ? 'plot full' : 'plot' }, make('h3', {}, title),
      make('div', {
        class: 'drawing', role: 'img', 'aria-label': `${title}; the numbers stand in the result table`,
        style: wide ? `--least: ${110 * panels}px` : null,
      }, drawing));
    whenNear(element, () => renderPlot(drawing, figure));
    return { element, drawing, figure };
  });
  place.append(make('p', { class: 'hint' }, 'Optuna’s plots of the trials; point at a line, bar or dot to read its values. Orange is best.'),
    make('div', { class: 'plots' }, plots.map((plot) => plot.element)));
  const redraw = () => plots.filter((plot) => plot.drawing.childElementCount)
    .forEach((plot) => renderPlot(plot.drawing, plot.figure));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
}

function renderPlot(place, figure) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line] = [style.getPropertyValue('--ink').trim(), style.getPropertyValue('--line').trim()];
  const layout = structuredClone(figure.layout);
  layout.font = { ...layout.font, color: ink, size: 11, family: style.getPropertyValue('--sans').trim() };
  layout.autosize = true;
  delete layout.width;
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    Object.assign(layout[name], { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true });
  }
  if (figure.data[0].type === 'scatter') { // a bar has a name, and none may be left out
    for (const name of Object.keys(layout).filter((key) => key.startsWith('xaxis'))) layout[name].nticks = 5;
  }
  for (const note of layout.annotations ?? []) note.font = { ...note.font, color: ink };
  loadPlotting().react(place, structuredClone(figure.data), layout, {
    responsive: true, displaylogo: false, displayModeBar: false,
  });
}
