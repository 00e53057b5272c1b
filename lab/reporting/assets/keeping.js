// Where the person is on the page, kept in the entry of the tab's history: it outlives a reload, also of
// a page from disk, for which browsers may keep no storage.

const kept = history.state?.kept ?? {};
const keepers = [];

// What the part of the page called name wants back after a reload. get() must give plain values.
function keep(name, get, put) {
  keepers.push([name, get]);
  if (name in kept) put(kept[name]);
}

function keepNow() {
  const values = Object.fromEntries(keepers.map(([name, get]) => [name, get()]));
  history.replaceState({ kept: { ...values, scroll: scrollY, serial: data.serial } }, '');
}
for (const moment of ['pagehide', 'hashchange']) addEventListener(moment, keepNow);

function reload() {
  keepNow();
  location.reload();
}

// Goes back to where the person was, when all is put up; parts that are drawn late may move it a little.
function goBack() {
  if (!kept.scroll) return;
  history.scrollRestoration = 'manual';
  scrollTo({ top: kept.scroll, behavior: 'instant' });
}

// A newer version is shown at once, unless that would take something out of the person's hands.
function followStudy() {
  if (data.serial === null) return;
  let held = false;
  addEventListener('pointerdown', () => { held = true; });
  for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => { held = false; });
  follow(data.serial, () => {
    const busy = held || document.activeElement?.matches('select, input[type="text"]') || document.querySelector('.ballot .pair');
    if (busy) section('news').hidden = false;
    else reload();
  });
}
