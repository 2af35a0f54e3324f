
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  // make builds an element; what strangers named goes in as text alone.
  const make = (tag, attributes = {}, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value === undefined || value === null) continue;
      if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
      else e.setAttribute(name, value === true ? '' : value);
    }
    e.append(...children.filter(c => c !== null && c !== undefined && c !== ''));
    return e;
  };
  const bdi = text => make('bdi', {}, text);
  const percent = p => p === null || p === undefined ? '-' : p < 0.005 ? '< 1 %' : p >= 0.995 ? '> 99 %' : Math.round(100 * p) + ' %';
  const share = p => p === null ? '-' : Math.round(100 * p) + ' %';
  const fixed = (v, digits = 3) => v === null || v === undefined ? '-' : v.toFixed(digits);
  const hrefOf = c => '#case=' + encodeURIComponent(c.id);
  const byID = new Map(data.cases.map((c, i) => [c.id, i]));
  data.cases.forEach((c, i) => { c.at = i; });
  let label = 0;
  const wrong = (c, l) => c.predicted[l] !== c.targets[l];
  const className = (l, k) => data.labels[l].classes[k];
  const confidence = (c, l) => c.p[l][c.predicted[l]];

  // ---- Figures: a marker that follows the pointer and a slider.

  const svgNS = 'http://www.w3.org/2000/svg';
  const words = {
    roc: (w, k) => `${w.name}: from a probability of ${w.at[k] > 1 ? 'more than 1 (no case)' : fixed(w.at[k])} on, sensitivity ${fixed(w.y[k])}, specificity ${fixed(1 - w.x[k])}`,
    calibration: (w, k) => `${w.name}: of ${w.at[k]} cases given about ${percent(w.x[k])}, ${share(w.y[k])} are of the class (95 % interval ${share(w.low[k])} to ${share(w.high[k])})`,
    decision: (w, k) => `${w.name}: at a threshold of ${fixed(w.x[k], 2)} net benefit ${fixed(w.y[k])}` + (w.low && w.low[k] !== null && w.low[k] !== undefined ? ` (95 % interval ${fixed(w.low[k])} to ${fixed(w.high[k])})` : '') + `; acting on every case ${fixed(w.at[k])}`,
  };
  for (const figure of document.querySelectorAll('figure[data-figure]')) {
    const walks = data.walks[figure.dataset.figure], svg = figure.querySelector('svg.figure'), box = figure.querySelector('.walk');
    if (!walks || !svg || !box) continue;
    const say = words[figure.dataset.figure.replace(/^\d+-/, '')];
    const panels = [...svg.querySelectorAll('g.panel')].map(g => {
      const [x0, x1] = g.dataset.x.split(' ').map(Number), [y0, y1] = g.dataset.y.split(' ').map(Number);
      const [left, top, width, height] = g.dataset.area.split(' ').map(Number);
      return { x: v => left + (v - x0) / (x1 - x0) * width, y: v => top + height - (v - y0) / (y1 - y0) * height, left, top, width, height };
    });
    const points = [];
    for (const w of walks) {
      const p = panels[w.panel];
      w.x.forEach((x, k) => {
        const y = w.y[k];
        if (p && x !== null && y !== null) points.push({ w, k, px: p.x(x), py: p.y(y), p });
      });
    }
    const seen = points.filter(q => q.px >= q.p.left - 1 && q.px <= q.p.left + q.p.width + 1 && q.py >= q.p.top - 1 && q.py <= q.p.top + q.p.height + 1);
    if (!seen.length) continue;
    const draw = (tag, name) => { const e = document.createElementNS(svgNS, tag); e.setAttribute('class', name); e.setAttribute('visibility', 'hidden'); svg.append(e); return e; };
    const guide = draw('path', 'guide'), marker = draw('circle', 'marker');
    marker.setAttribute('r', 5);
    const slider = box.querySelector('input'), out = box.querySelector('output');
    slider.max = seen.length - 1;
    slider.setAttribute('aria-label', figure.querySelector('h3').textContent + ': walk along the curve');
    const show = i => {
      const q = seen[i];
      guide.setAttribute('d', `M${q.px} ${q.p.top + q.p.height}V${q.py}H${q.p.left}`);
      marker.setAttribute('cx', q.px); marker.setAttribute('cy', q.py);
      guide.setAttribute('visibility', 'visible'); marker.setAttribute('visibility', 'visible');
      out.textContent = say(q.w, q.k);
      slider.setAttribute('aria-valuetext', out.textContent);
    };
    slider.addEventListener('input', () => show(Number(slider.value)));
    slider.addEventListener('focus', () => show(Number(slider.value)));
    svg.addEventListener('pointermove', e => {
      const m = svg.getScreenCTM();
      if (!m) return;
      const x = (e.clientX - m.e) / m.a, y = (e.clientY - m.f) / m.d;
      let best = 0, least = Infinity;
      seen.forEach((q, i) => {
        const d = (q.px - x) ** 2 + (q.py - y) ** 2;
        if (d < least) { least = d; best = i; }
      });
      slider.value = best;
      show(best);
    });
    out.textContent = 'Point at the curve, or move the slider, to read values off it.';
    box.hidden = false;
  }

  // ---- Filters and the table.

  const columns = () => {
    const l = label, classes = data.labels[l].classes, all = [
      { name: 'case', value: c => c.name, cell: c => make('a', { href: hrefOf(c) }, bdi(c.name)) },
    ];
    if (data.cases.some(c => c.fold)) all.push({ name: 'fold', value: c => c.fold || '' });
    for (const g of data.groupings.slice(0, 4)) all.push({ name: g, value: c => (c.groups && c.groups[g]) || '' });
    all.push(
      { name: 'true', value: c => classes[c.targets[l]], key: c => c.targets[l] },
      { name: 'predicted', value: c => classes[c.predicted[l]], key: c => c.predicted[l], mark: c => wrong(c, l) },
      { name: 'probability', value: c => percent(confidence(c, l)), key: c => confidence(c, l), number: true });
    if (classes.length === 2) all.push({ name: 'P(' + classes[1] + ')', value: c => fixed(c.p[l][1]), key: c => c.p[l][1], number: true });
    if (data.cases.some(c => c.calibrated)) {
      all.push({ name: 'calibrated', value: c => c.calibrated ? percent(c.calibrated[l][c.predicted[l]]) : '-', key: c => c.calibrated ? c.calibrated[l][c.predicted[l]] : -1, number: true });
    }
    all.push({ name: 'result', value: c => wrong(c, l) ? 'wrong' : 'right', mark: c => wrong(c, l) });
    all.push({ name: 'doubt', value: c => c.doubtful[l], wide: true });
    if (data.live) all.push({ name: 'mark', value: c => (data.live.marks[c.id] || {}).mark || '' });
    return all;
  };
  const state = { column: 'case', down: false, shown: 100, text: '', outcome: '', doubtful: false, fold: '', groups: {}, target: '', predicted: '', mark: '' };
  const collator = new Intl.Collator(undefined, { numeric: true });
  let rows = data.cases.slice();

  const select = (text, id, options, on) => {
    const s = make('select', { id, onchange: () => on(s.value) }, ...options.map(([value, name]) => make('option', { value }, name)));
    return make('label', {}, text, s);
  };
  const distinct = of => [...new Set(data.cases.map(of).filter(v => v))].sort(collator.compare);
  const filters = $('filters');
  const classOptions = () => [['', 'any'], ...data.labels[label].classes.map((name, k) => [String(k), name])];
  function buildFilters() {
    const changed = f => v => { f(v); state.shown = 100; update(); };
    const search = make('input', { type: 'search', id: 'search', placeholder: 'name, patient, class …', autocomplete: 'off', value: state.text });
    search.addEventListener('input', changed(() => { state.text = search.value; }));
    const doubtful = make('input', { type: 'checkbox', id: 'doubtful' });
    doubtful.checked = state.doubtful;
    doubtful.addEventListener('change', changed(() => { state.doubtful = doubtful.checked; }));
    filters.replaceChildren(make('label', {}, 'Search', search));
    if (data.labels.length > 1) {
      filters.append(select('Label', 'label', data.labels.map((l, i) => [String(i), l.name]), v => {
        label = Number(v); state.target = state.predicted = ''; buildFilters(); state.shown = 100; update();
        $('label').focus();
      }));
      filters.querySelector('#label').value = String(label);
    }
    const add = (text, id, options, get, set) => {
      filters.append(select(text, id, options, changed(set)));
      $(id).value = get;
    };
    add('Result', 'outcome', [['', 'all'], ['wrong', 'wrong'], ['right', 'right']], state.outcome, v => { state.outcome = v; });
    add('True class', 'target', classOptions(), state.target, v => { state.target = v; });
    add('Predicted class', 'predicted', classOptions(), state.predicted, v => { state.predicted = v; });
    const folds = distinct(c => c.fold);
    if (folds.length > 1) add('Fold', 'fold', [['', 'all'], ...folds.map(f => [f, f])], state.fold, v => { state.fold = v; });
    data.groupings.forEach((g, i) => {
      add(g, 'group-' + i, [['', 'all'], ...distinct(c => c.groups && c.groups[g]).map(v => [v, v])], state.groups[g] || '', v => { state.groups[g] = v; });
    });
    if (data.live) add('Mark', 'mark', [['', 'all'], ['any', 'marked'], ['relabel', 'relabel'], ['exclude', 'exclude']], state.mark, v => { state.mark = v; });
    filters.append(make('label', { class: 'check' }, doubtful, 'doubtful'),
      make('button', { type: 'button', class: 'button', id: 'clear', onclick: () => {
        Object.assign(state, { text: '', outcome: '', doubtful: false, fold: '', groups: {}, target: '', predicted: '', mark: '', shown: 100 });
        buildFilters(); update(); $('clear').focus();
      } }, 'Clear the filters'));
  }
  filters.addEventListener('submit', e => e.preventDefault());

  const textOf = new Map();
  const searched = c => {
    if (!textOf.has(c)) {
      textOf.set(c, [c.name, c.fold || '', ...data.labels.flatMap((l, i) => [className(i, c.targets[i]), className(i, c.predicted[i])]),
        ...Object.values(c.groups || {}), ...(c.details || []).map(d => d.text)].join('\n').toLowerCase());
    }
    return textOf.get(c);
  };
  function matches(c) {
    const l = label;
    if (state.outcome && (state.outcome === 'wrong') !== wrong(c, l)) return false;
    if (state.doubtful && !c.doubtful[l]) return false;
    if (state.fold && c.fold !== state.fold) return false;
    if (state.target !== '' && c.targets[l] !== Number(state.target)) return false;
    if (state.predicted !== '' && c.predicted[l] !== Number(state.predicted)) return false;
    for (const [g, v] of Object.entries(state.groups)) if (v && (!c.groups || c.groups[g] !== v)) return false;
    if (state.mark) {
      const m = (data.live.marks[c.id] || {}).mark || '';
      if (state.mark === 'any' ? !m : m !== state.mark) return false;
    }
    return !state.text || state.text.toLowerCase().split(/\s+/).every(word => searched(c).includes(word));
  }
  function update() {
    const all = columns(), table = $('table');
    const by = all.find(c => c.name === state.column) || all[0];
    const key = by.key || by.value;
    rows = data.cases.filter(matches);
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      const order = typeof x === 'number' ? x - y : collator.compare(x, y);
      return (state.down ? -order : order) || a.at - b.at;
    });
    const head = make('tr', {}, ...all.map(c => make('th', { scope: 'col', class: c.number ? 'n' : null,
      'aria-sort': c === by ? (state.down ? 'descending' : 'ascending') : null },
    make('button', { type: 'button', 'data-column': c.name, onclick: () => {
      if (state.column === c.name) state.down = !state.down; else { state.column = c.name; state.down = Boolean(c.number); }
      update();
      for (const b of table.querySelectorAll('th button')) if (b.dataset.column === c.name) b.focus();
    } }, bdi(c.name)))));
    const body = rows.slice(0, state.shown).map(row => make('tr', {}, ...all.map(c => make('td',
      { class: [c.number && 'n', c.mark && c.mark(row) && 'wrong', c.wide && 'why'].filter(Boolean).join(' ') || null },
      c.cell ? c.cell(row) : bdi(c.value(row))))));
    table.replaceChildren(make('thead', {}, head), make('tbody', {}, ...body));
    $('count').textContent = rows.length === data.cases.length ? `${rows.length} cases` : `${rows.length} of ${data.cases.length} cases`;
    const left = rows.length - state.shown, more = $('more');
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(left, 500)} more of ${left}`;
  }
  $('more').addEventListener('click', () => { state.shown += 500; update(); });
  for (const b of document.querySelectorAll('.matrix button')) {
    b.addEventListener('click', () => {
      label = Number(b.dataset.label);
      Object.assign(state, { text: '', outcome: '', doubtful: false, fold: '', groups: {}, mark: '', target: b.dataset.true, predicted: b.dataset.predicted, shown: 100 });
      buildFilters();
      update();
      $('cases').scrollIntoView();
      $('cases').tabIndex = -1;
      $('cases').focus({ preventScroll: true });
    });
  }

  // ---- Gallery.

  const thumb = c => {
    if (c.scan && c.scan.thumb) return make('img', { src: c.scan.thumb, alt: '' });
    if (data.live && c.scan) return make('img', { src: `thumbs/${c.at}.jpg`, alt: '' });
    return c.scan && c.scan.problem ? 'the scan cannot be read' : data.live ? 'no scan' : 'no scan on this page';
  };
  data.gallery.forEach((of, l) => {
    const box = $('gallery');
    if (data.labels.length > 1) box.append(make('h3', {}, bdi(data.labels[l].name)));
    if (!of.length) { box.append(make('p', {}, data.cases.length ? 'No case is wrong.' : 'No cases.')); return; }
    box.append(make('ol', { class: 'cards' }, ...of.map(i => {
      const c = data.cases[i];
      return make('li', {}, make('a', { href: hrefOf(c) }, make('div', { class: 'thumb' }, thumb(c)),
        make('div', {}, make('b', {}, bdi(c.name)), 'is ', bdi(className(l, c.targets[l])), make('br'), 'given ', make('span', { class: 'wrong' }, percent(confidence(c, l))), ' ', bdi(className(l, c.predicted[l])))));
    })));
  });

  // ---- One case.

  const dialog = $('viewer');
  let current = null;
  const bars = (c, l) => {
    const box = make('div', { class: 'bars' });
    data.labels[l].classes.forEach((name, k) => {
      const p = c.p[l][k], track = make('div', { class: 'track', 'aria-hidden': 'true' });
      const fill = make('i');
      fill.style.width = 100 * p + '%';
      track.append(fill);
      if (c.members && c.members.p[l]) {
        for (const m of c.members.p[l]) { const dot = make('u'); dot.style.left = 100 * m[k] + '%'; track.append(dot); }
      }
      let text = percent(p);
      if (c.calibrated) {
        const line = make('s');
        line.style.left = 100 * c.calibrated[l][k] + '%';
        track.append(line);
        text += ` (calibrated ${percent(c.calibrated[l][k])})`;
      }
      box.append(bdi(name), track, make('span', {}, text));
    });
    return box;
  };
  const members = (c, l) => {
    const m = c.members;
    if (!m || !m.p[l]) return '';
    const folds = (c.fold || '').split('+'), classes = data.labels[l].classes;
    const rows = m.p[l].map((p, i) => {
      const f = Math.floor(i / m.mirrors), k = i % m.mirrors;
      const network = folds.length === m.folds && folds[f] ? 'fold ' + folds[f] : 'network ' + (f + 1);
      return make('tr', {}, make('th', { scope: 'row' }, network, m.mirrors > 1 ? (k ? ', mirror image ' + k : ', as it is') : ''), ...p.map(v => make('td', {}, fixed(v))));
    });
    return make('details', {}, make('summary', {}, `The ${m.p[l].length} members (dots above)`), make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Members' },
      make('table', {}, make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'member'), ...classes.map(k => make('th', { scope: 'col' }, bdi(k))))), make('tbody', {}, ...rows))));
  };
  const verdict = (c, l) => make('div', { class: 'verdict' }, make('h3', {}, bdi(data.labels[l].name)),
    make('p', {}, 'True: ', bdi(className(l, c.targets[l])), '. Predicted: ', make('span', { class: wrong(c, l) ? 'wrong' : '' }, bdi(className(l, c.predicted[l])), wrong(c, l) ? ' (wrong)' : ''), '.'),
    bars(c, l),
    c.sets && c.sets[l] ? make('p', { class: 'quiet' }, 'Prediction set: ', c.sets[l].length ? bdi(c.sets[l].map(k => className(l, k)).join(', ')) : 'empty') : '',
    c.doubtful[l] ? make('p', {}, 'Doubtful: ', bdi(c.doubtful[l]), '.') : '', members(c, l));

  function open(c) {
    current = c;
    $('viewertitle').replaceChildren(bdi(c.name));
    $('verdicts').replaceChildren(...data.labels.map((_, l) => verdict(c, l)));
    const facts = [];
    if (c.fold) facts.push(['fold', c.fold]);
    for (const d of c.details || []) facts.push([d.name, d.text]);
    for (const [g, v] of Object.entries(c.groups || {})) if (!(c.details || []).some(d => d.name === g && d.text === v)) facts.push(['group: ' + g, v]);
    $('details').replaceChildren(...facts.flatMap(([name, text]) => [make('dt', {}, bdi(name)), make('dd', {}, bdi(text))]));
    showMarks(c);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    $('viewertitle').focus({ preventScroll: true });
    showScan(c);
  }
  const step = by => {
    const list = rows.includes(current) ? rows : data.cases;
    const next = list[(list.indexOf(current) + by + list.length) % list.length];
    location.replace(hrefOf(next));
  };
  $('previous').addEventListener('click', () => step(-1));
  $('next').addEventListener('click', () => step(1));
  $('close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    const was = current;
    current = null;
    if (/^#case=/.test(location.hash)) {
      try { history.replaceState(null, '', location.href.split('#')[0]); } catch { location.hash = 'cases'; }
    }
    const link = was && [...document.querySelectorAll('#table a, #gallery a')].find(a => a.getAttribute('href') === hrefOf(was));
    if (link && document.activeElement === document.body) link.focus({ preventScroll: true });
  });
  dialog.addEventListener('click', e => { if (e.target === dialog) dialog.close(); });
  function route() {
    const m = /^#case=(.*)$/.exec(location.hash);
    if (!m) { if (dialog.open) dialog.close(); return; }
    let id = m[1];
    try { id = decodeURIComponent(id); } catch { /* as it stands */ }
    const i = byID.get(id);
    if (i === undefined) { if (dialog.open) dialog.close(); $('count').textContent = `No case ${id.slice(0, 120)} in this evaluation.`; $('cases').scrollIntoView(); return; }
    open(data.cases[i]);
  }
  window.addEventListener('hashchange', route);

  // ---- Marks of a reader, which the serving program keeps.

  function showMarks(c) {
    const box = $('marks');
    if (!data.live) return;
    const now = data.live.marks[c.id] || { mark: '', comment: '' };
    const status = make('p', { class: 'quiet', role: 'status', id: 'markstatus' }, now.mark ? 'Kept in ' + data.live.file + '.' : '');
    const comment = make('input', { type: 'text', maxlength: '500', id: 'comment', placeholder: 'why, or the class that it should be', 'aria-label': 'Comment on the mark' });
    comment.value = now.comment || '';
    const radios = [['', 'none'], ['relabel', 'relabel'], ['exclude', 'exclude']].map(([value, text]) => {
      const r = make('input', { type: 'radio', name: 'mark', value });
      r.checked = value === (now.mark || '');
      return make('label', {}, r, ' ' + text);
    });
    const save = async () => {
      const mark = box.querySelector('input[name=mark]:checked').value;
      status.textContent = 'Saving …';
      try {
        const response = await fetch('marks', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Page-Token': data.live.token }, body: JSON.stringify({ case: c.id, mark, comment: comment.value }) });
        if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
        if (mark) data.live.marks[c.id] = { mark, comment: comment.value }; else delete data.live.marks[c.id];
        status.textContent = mark ? 'Kept in ' + data.live.file + '.' : 'No mark.';
        update();
      } catch (e) {
        status.textContent = 'Not saved: ' + e.message + (e instanceof TypeError ? '. Is the program that serves this page still running?' : '');
      }
    };
    for (const r of radios) r.firstChild.addEventListener('change', save);
    comment.addEventListener('change', () => { if (box.querySelector('input[name=mark]:checked').value) save(); });
    box.replaceChildren(make('fieldset', {}, make('legend', {}, 'Mark'), ...radios, comment, status));
  }

  // ---- The scan, in NiiVue or, without WebGL 2, as pictures.

  const unzip = async bytes => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
  const block = async id => {
    const text = $(id).textContent, raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return unzip(bytes);
  };
  let library = null;
  const load = () => library ||= (async () => {
    const url = URL.createObjectURL(new Blob([await block('niivue')], { type: 'text/javascript' }));
    await new Promise((done, failed) => {
      document.head.append(make('script', { src: url, onload: done, onerror: () => failed(new Error('the viewer could not be started')) }));
    });
    URL.revokeObjectURL(url);
    return window.niivue;
  })();
  const hasWebGL2 = (() => { try { return Boolean(document.createElement('canvas').getContext('webgl2')); } catch { return false; } })();

  // nifti makes a NIfTI-1 file of voxels on a grid, so that the viewer knows their place.
  const types = { uint8: [2, 8], int16: [4, 16], float32: [16, 32] };
  function nifti(meta, type, slope, inter, voxels) {
    const buffer = new ArrayBuffer(352 + voxels.length), v = new DataView(buffer), [z, y, x] = meta.size, a = meta.affine;
    v.setInt32(0, 348, true);
    [3, x, y, z, 1, 1, 1, 1].forEach((n, i) => v.setInt16(40 + 2 * i, n, true));
    v.setInt16(70, types[type][0], true);
    v.setInt16(72, types[type][1], true);
    const length = i => Math.hypot(a[i], a[4 + i], a[8 + i]);
    [1, length(0), length(1), length(2)].forEach((mm, i) => v.setFloat32(76 + 4 * i, mm, true));
    v.setFloat32(108, 352, true);
    v.setFloat32(112, slope, true);
    v.setFloat32(116, inter, true);
    v.setUint8(123, 2);
    v.setInt16(254, 1, true);
    a.forEach((n, i) => v.setFloat32(280 + 4 * i, n, true));
    v.setUint32(344, 0x0031_2b6e, true);
    new Uint8Array(buffer).set(voxels, 352);
    return buffer;
  }
  async function layersOf(c, want) {
    const s = c.scan;
    if (!s.live) {
      return Promise.all(s.layers.map(async (l, k) => !want(l, k) ? null : ({ ...l, buffer: nifti(s, 'uint8', l.slope, l.inter, await block(`scan-${c.at}-${k}`)), low: l.inter, high: l.inter + 255 * l.slope })));
    }
    return Promise.all(s.layers.map(async (l, k) => {
      if (!want(l, k)) return null;
      const response = await fetch(`scans/${c.at}/${k}`);
      if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
      const meta = JSON.parse(response.headers.get('X-Volume'));
      return { ...l, buffer: nifti(meta, meta.type, 1, 0, new Uint8Array(await response.arrayBuffer())), low: NaN, high: NaN };
    }));
  }

  let viewer = null, turn = 0, last = null;
  const keep = { roi: true, heat: !data.live, roiOpacity: 0.15, heatOpacity: 0.65, view: 'multi', image: 0, heatAt: 0 };
  const note = (...text) => make('p', {}, ...text);
  async function showScan(c) {
    const mine = ++turn, stage = $('stage'), tools = $('tools');
    const canvas = stage.querySelector('.canvas');
    const say = (...children) => {
      for (const e of [...stage.children]) if (e !== canvas) e.remove();
      if (canvas) canvas.hidden = true;
      stage.append(...children);
    };
    tools.replaceChildren();
    $('scanabout').textContent = (c.scan && c.scan.about) || '';
    if (!data.viewer || !c.scan) return say(note(data.viewer ? 'The scan of this case is not on the page.' : 'This page was made without scans.'));
    if (c.scan.problem) return say(note('The scan cannot be shown: ', bdi(c.scan.problem)));
    if (!hasWebGL2) {
      return say(c.scan.slices ? make('img', { src: c.scan.slices, alt: 'Axial, coronal and sagittal slice through the region of interest' }) : '',
        note('This browser has no WebGL 2, which the viewer needs' + (c.scan.slices ? ': these are slices through the middle, axial, coronal and sagittal, with the edge of the region of interest.' : '.')));
    }
    say(note('Loading the scan …'));
    try {
      if (c.scan.live && !c.scan.layers) {
        const response = await fetch(`scans/${c.at}`);
        if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
        Object.assign(c.scan, await response.json());
        if (mine === turn) $('scanabout').textContent = c.scan.about || '';
      }
      const nv = await load();
      const layers = c.scan.layers, images = layers.filter(l => l.kind === 'image'), heats = layers.filter(l => l.kind === 'heat');
      keep.image = Math.min(keep.image, images.length - 1);
      keep.heatAt = Math.min(keep.heatAt, Math.max(0, heats.length - 1));
      const wanted = (l, k) => l.kind === 'roi' || l === images[keep.image] || l === heats[keep.heatAt] && (!c.scan.live || keep.heat);
      const loaded = (await layersOf(c, wanted)).filter(Boolean);
      if (mine !== turn) return;
      await show(nv, c, loaded, images, heats, mine);
    } catch (e) {
      if (mine === turn) say(note('The scan cannot be shown: ', bdi(String(e.message || e))), c.scan.slices ? make('img', { src: c.scan.slices, alt: 'Axial, coronal and sagittal slice through the region of interest' }) : '');
    }
  }
  async function show(nv, c, layers, images, heats, mine) {
    const stage = $('stage');
    if (!viewer) {
      const canvas = make('canvas', { tabindex: '0', role: 'application', 'aria-label': 'Scan: arrow keys move through it, + and - go through the slices, R and M hide and show the region and the map, V changes the view', id: 'canvas' });
      stage.replaceChildren(make('div', { class: 'canvas' }, canvas));
      viewer = new nv.Niivue({ logLevel: 'error', backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.7], crosshairWidth: 0.4, crosshairWidthUnit: 'px', multiplanarLayout: 2, multiplanarForceRender: true, isRadiologicalConvention: true, sagittalNoseLeft: true,
        dragAndDropEnabled: false, loadingText: '', show3Dcrosshair: true, viewModeHotKey: '', clipPlaneHotKey: '', cycleClipPlaneHotKey: '', fontSizeScaling: 0.35 });
      await viewer.attachToCanvas(canvas);
      canvas.addEventListener('keydown', keys, true);
      viewer.onLocationChange = location => { const o = $('location'); if (o && location) o.textContent = placeOf(location); };
    }
    const box = stage.querySelector('.canvas');
    for (const e of [...stage.children]) if (e !== box) e.remove();
    box.hidden = false;
    while (viewer.volumes.length) viewer.removeVolume(viewer.volumes[viewer.volumes.length - 1]);
    last = { c, at: {} };
    for (const kind of ['image', 'roi', 'heat']) {
      const l = layers.find(l => l.kind === kind);
      if (!l) continue;
      const image = await nv.NVImage.new(l.buffer, kind + '.nii', kind === 'image' ? 'gray' : kind === 'heat' ? 'hot' : 'roi', 1, null, l.low, l.high);
      if (mine !== turn) return;
      last.at[kind] = viewer.volumes.length;
      if (kind === 'roi') {
        viewer.addColormap('roi', { R: [0, 44, 44], G: [0, 197, 197], B: [0, 232, 232], A: [0, 255, 255], I: [0, 1, 255] });
        image.cal_min = 0.5; image.cal_max = Math.max(1, image.global_max);
      }
      if (kind === 'heat') { image.cal_min = 0.2 * image.global_max; image.cal_max = image.global_max; }
      viewer.addVolume(image);
    }
    last.low = viewer.volumes[0].cal_min; last.high = viewer.volumes[0].cal_max;
    buildTools(c, images, heats);
    apply();
    centre();
  }
  const placeOf = location => {
    const [x, y, z] = location.mm, value = viewer.volumes.length && location.values && location.values[0] ? location.values[0].value : null;
    return `${Math.abs(x).toFixed(0)} mm ${x < 0 ? 'L' : 'R'}, ${Math.abs(y).toFixed(0)} mm ${y < 0 ? 'P' : 'A'}, ${Math.abs(z).toFixed(0)} mm ${z < 0 ? 'I' : 'S'}` + (typeof value === 'number' ? `; value ${Number(value.toPrecision(4))}` : '');
  };
  // centre puts the crosshair into the middle of the region of interest.
  function centre() {
    const roi = last.at.roi === undefined ? null : viewer.volumes[last.at.roi];
    if (!roi) return;
    const [, nx, ny, nz] = roi.hdr.dims, img = roi.img;
    let n = 0, sx = 0, sy = 0, sz = 0, i = 0;
    for (let z = 0; z < nz; z++) for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++, i++) if (img[i] > 0) { n++; sx += x; sy += y; sz += z; }
    if (!n) return;
    const at = [sx / n, sy / n, sz / n], a = roi.hdr.affine;
    const mm = [0, 1, 2].map(r => a[r][0] * at[0] + a[r][1] * at[1] + a[r][2] * at[2] + a[r][3]);
    const frac = viewer.mm2frac(mm);
    viewer.scene.crosshairPos = [...frac].map(v => Math.min(1, Math.max(0, v)));
    viewer.createOnLocationChange();
    viewer.drawScene();
  }
  // missing reports whether a served map is asked for that was not loaded, since making it takes the network a while.
  const missing = key => key === 'heat' && keep.heat && last.at.heat === undefined && Boolean(last.c.scan.live) && last.c.scan.layers.some(l => l.kind === 'heat');
  const views = { multi: ['all', 3], axial: ['axial', 0], coronal: ['coronal', 1], sagittal: ['sagittal', 2], render: ['volume', 4] };
  function buildTools(c, images, heats) {
    const range = (id, name, value, max, set, min = 0, stepBy = 'any') => {
      const r = make('input', { type: 'range', id, min, max, step: stepBy, 'aria-label': name });
      r.value = value;
      r.addEventListener('input', () => { set(Number(r.value)); apply(); });
      return r;
    };
    const toggle = (id, name, key) => {
      const t = make('input', { type: 'checkbox', id });
      t.checked = keep[key];
      t.addEventListener('change', () => { keep[key] = t.checked; missing(key) ? showScan(c) : apply(); });
      return make('label', {}, t, name);
    };
    const parts = [];
    if (images.length > 1) parts.push(make('label', {}, 'Image', pick('image', images.map(l => l.name), keep.image, i => { keep.image = i; showScan(c); })));
    if (last.at.roi !== undefined) parts.push(make('span', { class: 'pair' }, toggle('showroi', 'region', 'roi'), range('roiopacity', 'Opacity of the region of interest', keep.roiOpacity, 1, v => { keep.roiOpacity = v; })));
    if (heats.length) {
      parts.push(make('span', { class: 'pair' }, toggle('showheat', 'heat map', 'heat'), range('heatopacity', 'Opacity of the heat map', keep.heatOpacity, 1, v => { keep.heatOpacity = v; })));
      if (heats.length > 1) parts.push(make('label', {}, 'of', pick('heat', heats.map(l => l.name), keep.heatAt, i => { keep.heatAt = i; showScan(c); })));
      else parts.push(make('span', { class: 'quiet' }, bdi(heats[0].name)));
    }
    const view = make('select', { id: 'view', onchange: () => { keep.view = view.value; apply(); } }, ...Object.entries(views).map(([value, [name]]) => make('option', { value }, name)));
    view.value = keep.view;
    parts.push(make('label', {}, 'View', view));
    const image = viewer.volumes[0], from = image.global_min, to = image.global_max;
    if (to > from) {
      parts.push(make('span', { class: 'pair' }, 'Window', range('darkest', 'Value shown black', last.low, to, v => { last.low = v; }, from), range('brightest', 'Value shown white', last.high, to, v => { last.high = v; }, from)));
    }
    $('tools').replaceChildren(make('div', { class: 'tools' }, ...parts), make('div', { class: 'tools' }, make('output', { id: 'location' })));
  }
  function pick(id, names, at, on) {
    const s = make('select', { id: 'pick' + id, onchange: () => on(Number(s.value)) }, ...names.map((name, i) => make('option', { value: i }, name)));
    s.value = at;
    return s;
  }
  function apply() {
    if (!viewer || !last || !viewer.volumes.length) return;
    const set = (kind, on, opacity) => { if (last.at[kind] !== undefined) viewer.volumes[last.at[kind]].opacity = on ? opacity : 0; };
    set('roi', keep.roi, keep.roiOpacity);
    set('heat', keep.heat, keep.heatOpacity);
    const image = viewer.volumes[0], span = image.global_max - image.global_min || 1;
    image.cal_min = Math.min(last.low, last.high - span / 1000);
    image.cal_max = Math.max(last.high, last.low + span / 1000);
    viewer.opts.crosshairWidth = keep.view === 'multi' ? 0.4 : 0.2;
    viewer.setSliceType(views[keep.view][1]);
    viewer.updateGLVolume();
    for (const [id, key] of [['showroi', 'roi'], ['showheat', 'heat']]) if ($(id)) $(id).checked = keep[key];
    if ($('view')) $('view').value = keep.view;
    dialog.dataset.overlays = ['roi', 'heat'].filter(k => last.at[k] !== undefined && keep[k]).join(' ');
    dialog.dataset.shown = last.c.id;
  }
  function keys(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const move = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], '+': [0, 0, 1], '-': [0, 0, -1], PageUp: [0, 0, 1], PageDown: [0, 0, -1] }[e.key];
    if (move && keep.view !== 'render') viewer.moveCrosshairInVox(...(keep.view === 'sagittal' ? [move[2], -move[0] || 0, move[1]] : keep.view === 'coronal' ? [-move[0], move[2], move[1]] : [-move[0], move[1], move[2]]));
    else if (/^[rR]$/.test(e.key)) { keep.roi = !keep.roi; apply(); }
    else if (/^[mM]$/.test(e.key)) { keep.heat = !keep.heat; missing('heat') ? showScan(last.c) : apply(); }
    else if (/^[vV]$/.test(e.key)) { const names = Object.keys(views); keep.view = names[(names.indexOf(keep.view) + 1) % names.length]; apply(); }
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  $('doubtrule').textContent = data.doubt;
  if (data.labels.length) {
    filters.hidden = false;
    buildFilters();
    update();
  }
  route();
})();
