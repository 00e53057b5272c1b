// Blind votes: two completions of one photo; which run and epoch they are is said only at the end.

const VOTER = /^[A-Za-z0-9_-]{1,40}$/;
const CHOICES = {
  1: 'left', ArrowLeft: 'left', 2: 'right', ArrowRight: 'right', 0: 'tie', ArrowDown: 'tie',
};

function showVotes() {
  const place = section('votes');
  if (!data.deck.length) { place.remove(); return; }
  const voter = make('input', { type: 'text', id: 'voter', maxlength: 40, autocomplete: 'off', spellcheck: 'false', placeholder: 'letters, digits, _ and -' });
  const problem = make('p', { class: 'error', role: 'alert' });
  const start = make('form', { class: 'bar', onsubmit: (event) => {
    event.preventDefault();
    if (!VOTER.test(voter.value)) {
      problem.textContent = 'A name of 1 to 40 letters, digits, _ and - is needed: it becomes the name of the file.';
      return;
    }
    problem.textContent = '';
    new Ballot(voter.value, ballot).show();
    start.scrollIntoView({ block: 'start' });
  } }, make('label', { for: 'voter' }, 'Your name'), voter, make('button', { type: 'submit' }, 'Begin'));
  const ballot = make('div', { class: 'ballot', tabindex: -1, role: 'group', 'aria-label': 'Ballot' });
  place.append(make('p', {}, `${counted(data.deck.length, 'pair')}: the same photo, filled in two ways. Which looks more like nothing was ever removed? `
    + 'Names and sides are hidden and shuffled.'), start, problem, ballot);
}

class Ballot {
  constructor(voter, place) {
    this.voter = voter;
    this.place = place;
    // A study that was begun anew in the same folder is another one.
    this.key = `votes of ${voter} on ${data.folder} ${data.id}`;
    const known = new Set(data.deck.map((pair) => pair.pair));
    this.votes = (recall(this.key) ?? []).filter((vote) => known.has(vote.pair));
    place.onkeydown = (event) => this.press(event);
  }

  get next() {
    const done = new Set(this.votes.map((vote) => vote.pair));
    return data.deck.find((pair) => !done.has(pair.pair));
  }

  show() {
    const pair = this.next;
    if (!pair) { this.end(); return; }
    const image = (side) => make('img', {
      src: completionOf(pair[side], pair.index), alt: `${side} completion`, draggable: 'false', onload: fitVote,
    });
    const button = (choice, text, key) => make('button', { type: 'button', class: 'choice', onclick: () => this.vote(choice) }, text, ' ', make('kbd', {}, key));
    this.place.replaceChildren(
      make('div', { class: 'pair' },
        make('div', {}, image('left'), button('left', 'Left is better', '1')),
        make('div', {}, image('right'), button('right', 'Right is better', '2'))),
      make('div', { class: 'below' },
        make('figure', {}, make('img', { src: fixedPicture(pair.index, 'hole'), alt: 'the photo with its hole marked', onload: fitVote }),
          make('figcaption', {}, make('span', { class: 'soft' }, 'where the hole was'))),
        make('div', {},
          make('div', { class: 'bar' }, button('tie', 'No difference', '0'),
            make('button', { type: 'button', disabled: !this.votes.length, onclick: () => this.undo() }, 'Undo ', make('kbd', {}, 'u')),
            make('button', { type: 'button', disabled: !this.votes.length, onclick: () => this.end() }, 'End and see')),
          make('p', { class: 'hint' }, make('kbd', {}, '←'), ' ', make('kbd', {}, '↓'), ' ', make('kbd', {}, '→'), ' vote too.'),
          make('label', {}, make('progress', { max: data.deck.length, value: this.votes.length }),
            `pair ${this.votes.length + 1} of ${data.deck.length}`))));
    this.place.focus({ preventScroll: true });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in CHOICES && this.next && this.place.querySelector('.pair')) {
      event.preventDefault();
      this.vote(CHOICES[event.key]);
    } else if (event.key === 'u' || event.key === 'Backspace') {
      event.preventDefault();
      this.undo();
    }
  }

  vote(choice) {
    const { pair, photo, left, right } = this.next;
    // The keys and their order are those of lab/selection/votes.py.
    this.votes.push({ version: 1, pair, photo, left, right, choice, voter: this.voter, time: new Date().toISOString() });
    store(this.key, this.votes);
    this.show();
  }

  undo() {
    this.votes.pop();
    store(this.key, this.votes);
    this.show();
  }

  end() {
    const rows = tally(this.votes);
    const columns = [
      { title: 'checkpoint', text: true, key: (row) => row.name, cell: (row) => row.name },
      { title: 'share won', hint: 'ties count half', key: (row) => row.share, cell: (row) => `${(100 * row.share).toFixed(0)} %` },
      ...['won', 'tied', 'lost'].map((word) => ({ title: word, key: (row) => row[word], cell: (row) => row[word] })),
    ];
    this.place.replaceChildren(
      make('p', {}, `${counted(this.votes.length, 'vote')} by ${this.voter}.`),
      make('p', { class: 'bar' },
        make('button', { type: 'button', disabled: !this.votes.length, onclick: () => this.download() }, `Download ${this.voter}.jsonl`),
        make('button', { type: 'button', disabled: !this.next, onclick: () => this.show() }, 'Go on voting')),
      sortableTable('Votes', columns, rows),
      make('p', { class: 'hint' }, `Few votes say little. Put the file into ${data.folder}/votes/; then this gives the ranking with its intervals:`),
      commandLine(`python -m lab.select ${data.folder} --votes`));
    this.place.focus({ preventScroll: true });
  }

  download() {
    const lines = this.votes.map((vote) => `${JSON.stringify(vote)}\n`).join('');
    const link = make('a', { href: URL.createObjectURL(new Blob([lines], { type: 'application/jsonl' })), download: `${this.voter}.jsonl` });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

// "trial-003/epoch-009", "baselines/telea/epoch-000", or "epoch-009" of a single run.
function completionOf(name, photo) {
  const [run, epoch] = name.includes('/') ? [name.slice(0, name.lastIndexOf('/')), name.split('/').at(-1)] : [data.runs[0].name, name];
  return epochPicture(runsByName.get(run), photo, 'completed', Number(epoch.replace('epoch-', '')));
}

function fitVote(event) {
  const image = event.target;
  image.style.setProperty('--aspect', image.naturalWidth / image.naturalHeight);
  image.classList.toggle('enlarged', image.clientWidth > image.naturalWidth);
}

function tally(votes) {
  const counts = new Map();
  const count = (name, word) => {
    if (!counts.has(name)) counts.set(name, { name, won: 0, tied: 0, lost: 0 });
    counts.get(name)[word] += 1;
  };
  for (const { left, right, choice } of votes) {
    count(left, { left: 'won', right: 'lost', tie: 'tied' }[choice]);
    count(right, { left: 'lost', right: 'won', tie: 'tied' }[choice]);
  }
  return [...counts.values()]
    .map((row) => ({ ...row, share: (row.won + row.tied / 2) / (row.won + row.tied + row.lost) }))
    .sort((one, other) => other.share - one.share);
}
