import { Markup, markup } from './markup.ts'

/** What sorts the tables of tensors and draws the plots, for the end of the page, behind uPlot. */
export function fidelityScript(): Markup {
  return markup`<script>${new Markup(sortTables)}</script><script>${new Markup(drawFidelity)}</script>`
}

// Plain ES2015 for any browser. Headers are buttons: keys work as clicks do.
const sortTables = `(() => {
  for (const table of document.querySelectorAll('table.sortable')) {
    table.tHead.addEventListener('click', (event) => {
      const button = event.target.closest('button');
      if (!button) return;
      const head = button.closest('th'), column = +button.dataset.column, numeric = button.dataset.sort === 'number';
      const up = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const key = (body) => { const value = body.rows[0].cells[column].dataset.value; return numeric ? +value : value; };
      const compare = (a, b) => numeric ? a - b : a.localeCompare(b, 'en', { numeric: true });
      const bodies = Array.from(table.tBodies, (body) => ({ body, key: key(body), number: +body.dataset.number }));
      bodies.sort((a, b) => (up ? 1 : -1) * compare(a.key, b.key) || a.number - b.number);
      for (const { body } of bodies) table.append(body);
    });
  }
})()`

// Runs once, and again where the colour scheme or the width changes.
const drawFidelity = `(() => {
  const most = 60, drawn = [];
  const text = (db) => db == null ? 'exact' : db.toFixed(1) + ' dB';
  const draw = () => {
    for (const chart of drawn.splice(0)) chart.destroy();
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue('--' + name).trim();
    for (const box of document.querySelectorAll('.fidelity')) {
      const source = document.getElementById(box.dataset.source);
      if (!source) continue;
      const { names, sqnrDb, ownDb } = JSON.parse(source.textContent);
      const capped = (values) => values.map((db) => db == null ? null : Math.min(db, most));
      const axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') }, font: '12px system-ui' };
      const line = (label, values, name, width, dash) => ({ label, stroke: colour(name), width, dash, spanGaps: true, points: { show: names.length <= 150, size: 6, fill: colour(name) }, value: (u, v, s, i) => i == null ? '' : text(values[i]) });
      box.textContent = '';
      const chart = new uPlot({
        width: Math.max(280, box.clientWidth), height: 240,
        scales: { x: { time: false, range: (u, low, high) => [low - 0.5, high + 0.5] }, y: { range: (u, low, high) => [Math.min(0, Math.floor((low || 0) - 2)), Math.max(10, (high || 0) + 2)] } },
        axes: [Object.assign({}, axis, { values: (u, ticks) => ticks.map((n) => n % 1 ? '' : n) }), Object.assign({}, axis, { size: 56, values: (u, ticks) => ticks.map((db) => db + ' dB') })],
        series: [{ label: 'tensor', value: (u, n) => n == null ? '' : n + ' ' + names[n - 1] }, line('SQNR', sqnrDb, 'int8', 2), line('own', ownDb, 'float', 1.5, [5, 4])],
        cursor: { drag: { x: true, y: false } },
      }, [names.map((_, i) => i + 1), capped(sqnrDb), capped(ownDb)], box);
      chart.over.addEventListener('click', () => {
        const region = box.closest('.card').querySelector('.tensors'), i = chart.cursor.idx;
        const row = i == null ? null : region.querySelector('tbody[data-number="' + (i + 1) + '"]');
        if (!row) return;
        for (const other of region.querySelectorAll('.found')) other.classList.remove('found');
        row.classList.add('found');
        row.scrollIntoView({ block: 'nearest' });
      });
      drawn.push(chart);
    }
  };
  draw();
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
})()`
