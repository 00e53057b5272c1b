// The board: every run with its verdict, and whatever else was measured. Any column sorts.

// columns: {title, hint, text, wide, fixed, key(row) -> number or string or null, cell(row) -> node}
// sorting: {by, up}, kept by the caller; most: how many rows are shown; ordered(rows) is told their order.
function sortableTable(caption, columns, rows, { line = () => make('tr'), sorting = { by: null, up: true }, most = Infinity, ordered = () => {} } = {}) {
  const body = make('tbody');
  const classes = (column, value) => [column.text && 'text', column.wide && 'wide', column.fixed && 'fixed', value === null && 'missing'].filter(Boolean).join(' ') || null;
  const heads = columns.map((column) => make('th', { scope: 'col', class: classes(column), title: column.hint },
    make('button', { type: 'button', onclick: () => sortBy(column) }, column.title)));
  const elements = new Map();
  const elementOf = (row) => {
    if (!elements.has(row)) {
      elements.set(row, fill(line(row), {}, columns.map((column) => make('td', { class: classes(column, column.key(row)) }, column.cell(row)))));
    }
    return elements.get(row);
  };
  function order() {
    const chosen = columns.findIndex((column) => column.title === sorting.by);
    const inOrder = chosen < 0 ? rows : [...rows].sort((one, other) => compare(columns[chosen].key(one), columns[chosen].key(other)));
    body.replaceChildren(...inOrder.slice(0, most).map(elementOf));
    heads.forEach((head, at) => {
      if (at === chosen) head.setAttribute('aria-sort', sorting.up ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
    ordered(inOrder);
  }
  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null); // what is missing goes last
    return (sorting.up ? 1 : -1) * (typeof a === 'number' && typeof b === 'number'
      ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
  }
  function sortBy(column) {
    Object.assign(sorting, { up: sorting.by === column.title ? !sorting.up : true, by: column.title });
    order();
  }
  order();
  return make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    make('table', {}, make('thead', {}, make('tr', {}, heads)), body));
}

const board = { columns: null, sorting: { by: null, up: true } };
keep('board', () => board, (value) => Object.assign(board, value));

function showBoard() {
  const place = section('table');
  const groups = boardColumns();
  const all = groups.flatMap((group) => group.columns);
  const usual = all.filter((column) => column.usual).map((column) => column.title);
  const chosen = new Set(board.columns ?? usual);
  const { element, update } = menu('Columns of the board', () => `Columns: ${chosen.size} of ${all.length}`,
    groups.map((group) => ({
      title: group.title,
      items: group.columns.map((column) => ({
        label: column.title,
        hint: column.hint,
        on: () => chosen.has(column.title),
        set: (on) => (on ? chosen.add(column.title) : chosen.delete(column.title)),
      })),
    })),
    { Usual: () => put(usual), All: () => put(all.map((column) => column.title)), None: () => put([]) }, build);
  const put = (titles) => { chosen.clear(); titles.forEach((title) => chosen.add(title)); };
  const holder = make('div');
  place.append(make('div', { class: 'bar' }, element, runsMenu(),
    make('span', { class: 'hint' }, `Means ± standard deviation over the photos${eachAtCounted}. Any column sorts.`)), holder);
  let shownNames = '';
  build();
  listen(() => {
    // Only another choice of runs needs another table.
    if (names() !== shownNames) build();
    markSides(holder);
  });

  function rows() { return data.runs.filter((run) => isChosen(run) && !isRepeat(run)); }
  function names() { return rows().map((run) => run.name).join('\n'); }
  function build() {
    update();
    shownNames = names();
    board.columns = all.map((column) => column.title).filter((title) => chosen.has(title));
    const columns = [...fixedColumns(), ...all.filter((column) => chosen.has(column.title))];
    holder.replaceChildren(sortableTable('Board', columns, rows(), { line: boardLine, sorting: board.sorting }));
    markSides(holder);
  }
}

function boardLine(run) {
  if (!run.epochs.length) return make('tr');
  return make('tr', {
    class: 'pickable', 'data-run': run.name, tabindex: 0,
    onclick: (event) => changeSide(event.shiftKey ? 'b' : 'a', { run: run.name }),
    onkeydown: (event) => {
      if (event.key === 'Enter' && event.target === event.currentTarget) changeSide(event.shiftKey ? 'b' : 'a', { run: run.name });
    },
  });
}

function fixedColumns() {
  const rank = (run) => (rankedRuns.includes(run) ? rankedRuns.indexOf(run) + 1 : null);
  return [
    { title: '#', hint: `rank by ${goal}`, key: rank, cell: (run) => rank(run) ?? '–' },
    {
      title: 'run', text: true, fixed: true, key: (run) => run.label,
      cell: (run) => naming(run, [...runTags(run), run.reason].filter(Boolean).join(' · '), run.title),
    },
  ];
}

function boardColumns() {
  const { comparison } = data;
  const usual = new Set([...data.goals, ...data.shown]);
  const paths = Object.keys(data.names);
  const groups = [
    ...comparison ? [{ title: `Against ${runsByName.get(comparison.with).label}`, columns: comparedColumns(comparison) }] : [],
    { title: 'Means', columns: [...new Set([...usual, ...Object.keys(data.metrics)])].filter((metric) => data.metrics[metric]).map((metric) => meanColumn(metric, usual.has(metric))) },
    { title: 'Training', columns: [epochColumn(), ...rankedRuns.some((run) => run.seeds > 1) ? [seedsColumn()] : []] },
    { title: 'Varied', columns: paths.map((path) => valueColumn(path, telling.size < 9 && telling.has(path))) },
    ...comparison && Object.keys(comparison.bins).length > 1
      ? [{ title: 'By the hole’s share of the photo', columns: data.goals.flatMap((metric) => ratioColumns(comparison, metric)) }] : [],
    { title: 'Cost of one photo', columns: costColumns() },
  ];
  return groups.filter((group) => group.columns.length);
}

function comparedColumns(comparison) {
  const of = (run, metric) => comparison.byMetric[metric]?.[run.name] ?? null;
  const verdict = (metric) => ({
    title: data.goals.length > 1 ? `verdict by ${metric}` : 'verdict', usual: true, text: true,
    hint: `${comparison.why}, by ${metric}; a difference within its interval is none`,
    key: (run) => { const found = of(run, metric); return found && found.mean; },
    cell: (run) => {
      const found = of(run, metric);
      if (!found) return run.name === comparison.with ? 'reference' : '–';
      const mark = MARKS[found.verdict];
      return make('span', { class: `said ${found.verdict.replace(' ', '-')}` }, verdictMark(mark), mark.words);
    },
  });
  const difference = (metric) => ({
    title: `Δ ${metric}`, usual: data.goals.includes(metric), hint: `${comparison.why}, by ${metric}, with its 95 % interval; above 0 is better`,
    key: (run) => of(run, metric)?.mean ?? null, cell: (run) => of(run, metric)?.text ?? '–',
  });
  const won = (metric) => ({
    title: data.goals.length > 1 ? `won by ${metric}` : 'won', usual: data.goals.length === 1,
    hint: `share of the photos on which it is better by ${metric}; ties count half`,
    key: (run) => of(run, metric)?.won ?? null,
    cell: (run) => { const found = of(run, metric); return found ? `${Math.round(100 * found.won)} %` : '–'; },
  });
  const metrics = Object.keys(comparison.byMetric);
  const goals = data.goals.filter((metric) => metrics.includes(metric));
  return [...goals.flatMap((metric) => [verdict(metric), difference(metric), won(metric)]),
    ...metrics.filter((metric) => !goals.includes(metric)).map(difference)];
}

function meanColumn(metric, usual) {
  return {
    title: `${metric} ${arrow(metric)}`, usual, hint: data.metrics[metric].definition,
    key: (run) => run.mean[metric] ?? null,
    cell: (run) => [shown(run.mean[metric], metric),
      make('span', { class: 'spread' }, ` ± ${shown(run.spread[metric], metric)}`)],
  };
}

function epochColumn() {
  return {
    title: 'best epoch', usual: hasEpochs, hint: 'of those that were run', key: (run) => run.best,
    cell: (run) => (run.best && !run.untrained ? `${run.best} of ${run.epochs.at(-1)}` : '–'),
  };
}

function seedsColumn() {
  return {
    title: 'seeds', usual: true, hint: 'from which the setting was trained; its means are over them', key: (run) => run.seeds || null,
    cell: (run) => run.seeds || '–',
  };
}

function valueColumn(path, usual) {
  return {
    title: data.names[path], usual, hint: path, key: (run) => run.values[path] ?? null, cell: (run) => brief(run.values[path]),
  };
}

function ratioColumns(comparison, metric) {
  return Object.entries(comparison.bins).map(([bin, basis]) => {
    const of = (run) => comparison.byRatio[metric]?.[run.name]?.[bin] ?? null;
    return {
      title: `Δ ${metric}, hole ${bin}`, hint: `${comparison.why}, on photos whose hole is ${bin} of them: ${basis}`,
      key: (run) => of(run)?.mean ?? null, cell: (run) => of(run)?.text ?? '–',
    };
  });
}

function costColumns() {
  const units = {
    parameters: ['parameters', 1e6, 'M'], multiply_adds: ['multiply-adds', 1e9, 'G'], milliseconds: ['time', 1, 'ms'], peak_bytes: ['peak memory', 2 ** 20, 'MB'],
  };
  return Object.entries(units).filter(([name]) => data.runs.some((run) => run.cost && run.cost[name] !== null)).map(([name, [title, unit, words]]) => ({
    title, usual: ['parameters', 'milliseconds'].includes(name), hint: `${title} of completing one photo of the study’s size`,
    key: (run) => run.cost?.[name] ?? null,
    cell: (run) => (run.cost ? `${brief(run.cost[name] / unit)} ${words}` : '–'),
  }));
}

// What lab.select said: sentences, then the checkpoints in its order.
function showSelection() {
  const place = section('selection');
  const { selection } = data;
  if (!selection) { place.remove(); return; }
  const percent = (share) => (share === null || share === undefined ? '–' : share > 0.99 ? '> 99 %' : share < 0.01 ? '< 1 %' : `${Math.round(100 * share)} %`);
  const columns = [
    { title: '#', key: (row) => row.rank, cell: (row) => row.rank },
    { title: 'checkpoint', text: true, fixed: true, key: (row) => row.checkpoint, cell: (row) => row.checkpoint },
    {
      title: 'choice', text: true, key: (row) => (row.chosen ? 2 : row.tied ? 1 : 0),
      cell: (row) => (row.chosen ? make('b', {}, 'chosen') : row.tied ? 'can’t be told from the best' : ''),
    },
    { title: 'probability of being best', key: (row) => row.probability_best, cell: (row) => percent(row.probability_best) },
    {
      title: 'behind the first', hint: `in ${selection.metrics[0]}, with its 95 % interval`, key: (row) => row.behind_first,
      cell: (row) => (row.rank === 1 ? '–' : row.behind ?? brief(row.behind_first)),
    },
    ...selection.metrics.map((metric) => ({
      title: data.metrics[metric] ? `${metric} ${arrow(metric)}` : metric, key: (row) => row[metric] ?? null, cell: (row) => shown(row[metric], metric),
    })),
    { title: 'marks', text: true, wide: true, key: (row) => row.marks.length || null, cell: (row) => row.marks.map((mark) => `${mark.kind}: ${mark.reason}`).join('; ') || '–' },
  ];
  place.append(...selection.sentences.map((text) => make('p', {}, text)),
    ...selection.notes.map((text) => make('p', { class: 'soft' }, text)),
    sortableTable('Choice of checkpoint', columns, selection.checkpoints));
}
