// The result, and whatever tables other commands left in the folder. Any column sorts.

// columns: {title, hint, text, wide, key(row) -> number or string or null, cell(row) -> node}
function sortableTable(caption, columns, rows, decorate) {
  const body = make('tbody');
  const heads = columns.map((column, index) => make('th', {
    scope: 'col', class: column.text ? 'text' : null, title: column.hint,
  }, make('button', { type: 'button', onclick: () => sortBy(index) }, column.title)));
  const lines = rows.map((row) => ({
    row,
    element: fill(decorate ? decorate(row) : make('tr'), {}, columns.map((column) => {
      const value = column.key(row);
      const classes = [column.text && 'text', column.wide && 'wide', value === null && 'missing'];
      return make('td', { class: classes.filter(Boolean).join(' ') || null }, column.cell(row));
    })),
  }));
  body.append(...lines.map((line) => line.element));
  let sorted = null;
  let ascending = true;
  function sortBy(index) {
    ascending = sorted === index ? !ascending : true;
    sorted = index;
    const key = columns[index].key;
    const sign = ascending ? 1 : -1;
    lines.sort((one, other) => {
      const a = key(one.row);
      const b = key(other.row);
      if (a === null || b === null) return (a === null) - (b === null); // what is missing goes last
      return sign * (typeof a === 'number' && typeof b === 'number'
        ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    });
    body.append(...lines.map((line) => line.element));
    heads.forEach((head, at) => {
      if (at === index) head.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
  }
  return make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    make('table', {}, make('thead', {}, make('tr', {}, heads)), body));
}

function showResult() {
  const place = section('result');
  place.append(make('ul', { class: 'findings' }, data.findings.map((text) => make('li', {}, text))));
  const first = [...new Set([...data.goals, 'hole_psnr', 'hole_ssim', 'rim_ssim'])]
    .filter((metric) => data.metrics[metric]);
  const all = Object.keys(data.metrics);
  let table = null;
  const build = (metrics) => {
    const next = resultTable(metrics);
    table ? table.replaceWith(next) : place.append(next);
    table = next;
    markSides();
  };
  if (all.length > first.length) {
    place.append(make('p', { class: 'bar' },
      make('label', { class: 'check' }, make('input', {
        type: 'checkbox', onchange: (event) => build(event.target.checked ? all : first),
      }), `all ${all.length} metrics`),
      make('span', { class: 'hint' }, data.isStudy
        ? 'Mean ± standard deviation over the photos, at each run’s best epoch. Choose a row to see it as A below; with Shift, as B.'
        : 'Mean ± standard deviation over the photos, at the best epoch.')));
  }
  build(first);
  listen(markSides);

  function markSides() {
    for (const row of table.querySelectorAll('tr[data-run]')) {
      row.classList.toggle('is-a', row.dataset.run === state.a.run);
      row.classList.toggle('is-b', row.dataset.run === state.b.run);
    }
  }
}

function resultTable(metrics) {
  const ranked = data.runs.filter((run) => run.best !== null && ['complete', 'run'].includes(run.state));
  const rows = data.runs.map((run) => (
    { run, rank: ranked.includes(run) ? ranked.indexOf(run) + 1 : null }));
  const mean = ({ run }, metric) => valueAt(run.means[metric], run, run.best);
  const columns = [
    { title: '#', hint: 'rank by ' + goal, key: (row) => row.rank, cell: (row) => row.rank ?? '–' },
    {
      title: 'run', text: true, key: ({ run }) => run.label,
      cell: (row) => [
        row.run.label,
        make('span', { class: 'state' }, describeState(row)),
      ],
    },
    ...metrics.map((metric) => ({
      title: `${metric} ${arrow(metric)}`, hint: data.metrics[metric].definition,
      key: (row) => mean(row, metric),
      cell: (row) => [
        shown(mean(row, metric), metric),
        make('span', { class: 'spread' },
          ` ± ${shown(valueAt(row.run.spreads[metric], row.run, row.run.best), metric)}`),
      ],
    })),
    {
      title: 'epoch', hint: 'the best one, of those that were run', key: (row) => row.run.best,
      cell: (row) => row.run.best && !row.run.untrained ? `${row.run.best} of ${row.run.epochs.at(-1)}` : '–',
    },
    ...Object.entries(data.names).map(([path, name]) => ({
      title: name, hint: path, key: (row) => row.run.values[path] ?? null,
      cell: (row) => brief(row.run.values[path]),
    })),
  ];
  return sortableTable('Result', columns, rows, (row) => row.run.epochs.length
    ? make('tr', {
      class: 'pickable', 'data-run': row.run.name, tabindex: 0,
      onclick: (event) => changeSide(event.shiftKey ? 'b' : 'a', { run: row.run.name }),
      onkeydown: (event) => {
        if (event.key === 'Enter') changeSide(event.shiftKey ? 'b' : 'a', { run: row.run.name });
      },
    }) : make('tr'));
}

function describeState({ run }) {
  if (run.untrained) return '  without training';
  const words = [];
  if (!['complete', 'run'].includes(run.state)) words.push(run.state);
  if (run.reference) words.push('named by the question');
  if (run.reason) words.push(run.reason);
  return words.length ? `  ${words.join(', ')}` : '';
}

function showTables() {
  const place = section('tables');
  for (const [title, [head, ...rows]] of Object.entries(data.tables)) {
    const columns = head.map((name, index) => {
      const numeric = rows.every((row) => !row[index] || Number.isFinite(Number(row[index])));
      return {
        title: name,
        text: !numeric,
        wide: rows.some((row) => (row[index] ?? '').length > 48),
        key: (row) => (!row[index] ? null : numeric ? Number(row[index]) : row[index]),
        cell: (row) => (!row[index] ? '–' : numeric && row[index].length > 7 ? brief(Number(row[index])) : row[index]),
      };
    });
    place.append(make('h3', {}, title), sortableTable(title, columns, rows), make('p'));
  }
  if (!Object.keys(data.tables).length) place.remove();
}
