// The console's own script. Everything can be read without it; it adds keys, charts, colours without a reload, and the
// log as it grows. Nothing here writes markup: text goes in as text.
'use strict';
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Signing in with a link: the key stands behind the #, which no browser sends and no server logs.
  const door = $('#sign-in');
  if (door && location.hash.length > 1) {
    const key = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, '', location.pathname + location.search);
    if (key.startsWith('lk_')) {
      door.elements.key.value = key;
      door.requestSubmit();
    }
  }

  // Colours, without a reload. The server keeps the choice in its cookie.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const theme = $('#theme');
  const order = ['system', 'dark', 'light'];
  function chooseTheme() {
    const root = document.documentElement;
    const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    root.dataset.theme = next;
    theme.title = 'Colours: ' + next;
    $('.hidden', theme).textContent = theme.title;
    const after = order[(order.indexOf(next) + 1) % order.length];
    const url = new URL(theme.href);
    url.searchParams.set('to', next);
    fetch(url, { credentials: 'same-origin', redirect: 'manual' });
    url.searchParams.set('to', after);
    theme.href = url;
    drawCharts();
  }
  if (theme) theme.addEventListener('click', (event) => { event.preventDefault(); chooseTheme(); });
  dark.addEventListener('change', () => drawCharts());

  // Charts, drawn from the table that stands below each: numbers are rounded for drawing, and only for that.
  let plots = [];
  function drawCharts() {
    plots.forEach((plot) => plot.destroy());
    plots = [];
    if (!window.uPlot) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    for (const chart of all('[data-chart]')) {
      const table = $('table', chart);
      const names = all('thead th', table).map((cell) => cell.textContent);
      const rows = all('tbody tr', table).map((row) => all('td', row).map((cell) => cell.textContent));
      const data = names.map((_, at) => rows.map((row) => at === 0 ? Date.parse(row[0]) / 1000 : Number(row[at])));
      const place = $('.plot', chart);
      place.replaceChildren();
      const axis = { stroke: colour('--faint'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
      // Two charts with one time: two measures on one would meet by accident.
      names.slice(1).forEach((name, at) => {
        const half = document.createElement('div');
        const title = document.createElement('h3');
        title.textContent = name;
        half.append(title);
        place.append(half);
        const stroke = colour(at === 0 ? '--bar' : '--second');
        const value = (_, __, ___, point) => point === null || point === undefined ? '' : rows[point][at + 1];
        plots.push(new uPlot({
          width: Math.max(280, half.clientWidth), height: 200, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
          cursor: { y: false, sync: { key: 'time' }, drag: { x: false, y: false }, points: { size: 6 } },
          scales: { y: { range: (_, low, high) => room(low, high) } },
          series: [{ label: 'Time', value: (_, __, ___, point) => point === null || point === undefined ? '' : rows[point][0].slice(0, 16).replace('T', ' ') },
            { label: name, stroke, fill: stroke + '1f', width: 1.6, value, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
          axes: [{ ...axis, values: (_, splits, __, ___, step) => splits.map((split) => instant(split, step)) },
            { ...axis, size: (_, values) => 14 + 7 * Math.max(2, ...(values || []).map((v) => v.length)) }],
        }, [data[0], data[at + 1]], half));
      });
    }
  }
  // A day, or where the steps are shorter, a time of day.
  function instant(seconds, step) {
    const text = new Date(seconds * 1000).toISOString();
    if (step >= 28 * 86400) return text.slice(0, 7);
    return step >= 86400 ? text.slice(5, 10) : seconds % 86400 === 0 ? text.slice(5, 10) : text.slice(11, 16);
  }
  function room(low, high) {
    const bottom = Math.min(0, low), top = Math.max(0, high);
    const more = (top - bottom) * 0.06 || 1;
    return [bottom < 0 ? bottom - more : 0, top + more];
  }
  let sizing = 0;
  addEventListener('resize', () => { clearTimeout(sizing); sizing = setTimeout(drawCharts, 120); });

  // Rows: j and k or the arrows choose one, Enter opens it.
  const rows = () => all('main table.ledger tbody tr').filter((row) => row.offsetParent !== null && $('a[href]', row));
  function chosen() { return rows().findIndex((row) => row.getAttribute('aria-selected') === 'true'); }
  function choose(step) {
    const list = rows();
    if (list.length === 0) return;
    const at = chosen();
    const next = at < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, at + step));
    list.forEach((row) => { row.removeAttribute('aria-selected'); row.removeAttribute('tabindex'); });
    list[next].setAttribute('aria-selected', 'true');
    list[next].tabIndex = -1;
    list[next].focus({ preventScroll: true });
    list[next].scrollIntoView({ block: 'nearest' });
  }

  const help = $('#help');
  const helpButton = $('#help-button');
  if (helpButton) {
    helpButton.hidden = false;
    helpButton.addEventListener('click', () => help.showModal());
  }
  let waitsForPlace = 0;
  function isTyping(target) { return target.closest('input, select, textarea') !== null; }
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    if (isTyping(event.target)) {
      if (key === 'Escape') event.target.blur();
      if (key === 'ArrowDown' && event.target.type === 'search') { event.preventDefault(); event.target.blur(); choose(1); }
      return;
    }
    if (help && help.open) { if (key === '?') help.close(); return; }
    if (waitsForPlace && Date.now() - waitsForPlace < 1500) {
      waitsForPlace = 0;
      const link = $('.side a[data-key="' + CSS.escape(key) + '"]');
      if (link) { event.preventDefault(); link.click(); return; }
    }
    const act = {
      '/': () => { const field = $('main input[type="search"]') || $('#find'); field.focus(); field.select(); },
      '?': () => help && help.showModal(),
      'g': () => { waitsForPlace = Date.now(); },
      'j': () => choose(1), 'ArrowDown': () => choose(1),
      'k': () => choose(-1), 'ArrowUp': () => choose(-1),
      'n': () => { const next = $('a[rel="next"]'); if (next) next.click(); },
      't': () => theme && chooseTheme(),
      'Enter': () => { const row = rows()[chosen()]; if (row) $('a[href]', row).click(); },
    }[key];
    if (!act || !help) return;
    if (key === 'Enter' && (chosen() < 0 || event.target.closest('a, button, summary'))) return;
    if (key.startsWith('Arrow') && event.target.closest('pre, [role="slider"]')) return;
    event.preventDefault();
    act();
  });

  // The log as it grows.
  const LIVE_ROWS_MAX = 200;
  for (const place of all('[data-live]')) {
    place.hidden = false;
    const state = $('#live-state');
    const box = $('#follow');
    let source = null;
    let after = place.dataset.after;
    const say = (name, words) => { state.dataset.state = name; state.textContent = words; };
    const add = (event) => {
      const one = JSON.parse(event.data);
      after = event.lastEventId;
      const body = $('#events tbody');
      if (!body) { location.reload(); return; }
      const row = document.importNode($('#live-row').content, true).firstElementChild;
      const cells = row.children;
      const link = $('a', cells[0]);
      link.textContent = event.lastEventId;
      link.href = '/console/events/' + encodeURIComponent(event.lastEventId);
      $('time', cells[1]).dateTime = one.recorded_at;
      $('time', cells[1]).textContent = one.recorded_at.slice(0, 19).replace('T', ' ');
      cells[2].textContent = one.type.replaceAll('_', ' ');
      $('code', cells[3]).textContent = one.stream;
      cells[4].textContent = one.reference || '';
      cells[5].textContent = one.reason || '';
      cells[6].textContent = one.command && one.command.actor || '';
      body.prepend(row);
      while (body.children.length > LIVE_ROWS_MAX) body.lastElementChild.remove();
      say('open', 'live, at ' + event.lastEventId);
    };
    const start = () => {
      const url = new URL(place.dataset.live, location.href);
      url.searchParams.set('after', after);
      source = new EventSource(url);
      source.onopen = () => say('open', 'live');
      source.onerror = () => say('lost', source.readyState === EventSource.CLOSED ? 'ended' : 'connecting again');
      // Each type of event has a name of its own.
      for (const option of all('select[name="type"] option')) if (option.value) source.addEventListener(option.value, add);
      source.onmessage = add;
    };
    box.addEventListener('change', () => {
      if (source) { source.close(); source = null; }
      if (box.checked) { say('off', 'connecting'); start(); } else { say('off', 'off'); }
    });
  }

  // Rows that come while one is chosen: the first of them is chosen then.
  let wasChosen = false;
  addEventListener('htmx:beforeSwap', () => { wasChosen = chosen() >= 0; });
  addEventListener('htmx:afterSwap', () => {
    drawCharts();
    if (wasChosen && chosen() < 0) choose(1);
  });
  drawCharts();
  document.documentElement.dataset.ready = 'true';
})();
