// What the report does beyond being read: theme, tooltips, sorting, and zoom into the token steps.
(() => {
  'use strict';
  const root = document.documentElement;
  const $ = (selector, inside = document) => inside.querySelector(selector);
  const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  root.classList.add('js');

  // ------------------------------------------------------------------ theme

  const themes = ['auto', 'dark', 'light'];
  const memory = {
    // A page opened from disk may have no storage.
    get() { try { return localStorage.getItem('prof-analyze-theme'); } catch { return null; } },
    set(value) { try { localStorage.setItem('prof-analyze-theme', value); } catch { /* not kept */ } },
  };
  const themeButton = $('#theme');
  function showTheme(theme) {
    if (theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
    themeButton.dataset.state = theme;
  }
  showTheme(themes.includes(memory.get()) ? memory.get() : 'auto');
  themeButton.hidden = false;
  themeButton.addEventListener('click', () => {
    const theme = themes[(themes.indexOf(themeButton.dataset.state) + 1) % themes.length];
    showTheme(theme);
    memory.set(theme);
  });

  // --------------------------------------------------------------- tooltips

  const tip = $('#tip');
  function showTip(text, x, y) {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(Math.max(x + 14, 8), innerWidth - width - 8);
    const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
    tip.style.transform = `translate(${Math.max(left, 8)}px, ${Math.max(top, 4)}px)`;
  }
  const hideTip = () => { tip.hidden = true; };
  document.addEventListener('pointermove', event => {
    if (event.target.closest?.('#token-plot .area')) return;
    const owner = event.target.closest?.('[data-tip]');
    if (owner) showTip(owner.dataset.tip, event.clientX, event.clientY);
    else hideTip();
  });
  document.addEventListener('focusin', event => {
    const owner = event.target.closest?.('[data-tip]');
    if (!owner || !owner.matches(':focus-visible')) return;
    const { left, bottom } = owner.getBoundingClientRect();
    showTip(owner.dataset.tip, left, bottom - 14);
  });
  document.addEventListener('focusout', hideTip);
  document.addEventListener('scroll', hideTip, { passive: true });
  document.addEventListener('keydown', event => { if (event.key === 'Escape') hideTip(); });

  // ---------------------------------------------------------------- sorting

  for (const table of $$('table.sortable')) {
    const heads = $$('thead th', table);
    heads.forEach((head, column) => $('button', head).addEventListener('click', () => {
      const isText = head.classList.contains('text');
      const was = head.getAttribute('aria-sort');
      const ascending = was ? was === 'descending' : isText;
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
      const key = row => {
        const cell = row.cells[column];
        return cell.dataset.key !== undefined ? Number(cell.dataset.key) : isText ? cell.textContent : null;
      };
      const rows = [...table.tBodies[0].rows].map(row => ({ row, key: key(row) }));
      rows.sort((a, b) => {
        // What was not recorded comes last, whichever way.
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
        const order = typeof a.key === 'number' && typeof b.key === 'number'
          ? a.key - b.key : String(a.key).localeCompare(String(b.key));
        return ascending ? order : -order;
      });
      table.tBodies[0].append(...rows.map(({ row }) => row));
    }));
  }

  // -------------------------------------------------------------------- print

  addEventListener('beforeprint', () => {
    for (const closed of $$('details:not([open])')) {
      closed.open = true;
      closed.dataset.opened = '';
    }
  });
  addEventListener('afterprint', () => {
    for (const opened of $$('details[data-opened]')) {
      opened.open = false;
      delete opened.dataset.opened;
    }
  });

  // ------------------------------------------------------- numbers with units

  function duration(ns) {
    const units = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];
    const [size, unit] = units.find(([size]) => ns >= size * 0.99995) ?? units[3];
    const value = ns / size;
    return `${size === 1 ? Math.round(value) : value.toPrecision(value >= 1000 ? 5 : 4)} ${unit}`;
  }
  const plain = value => String(Number(value.toPrecision(5)));
  function tickDuration(ns, largest) {
    const [size, unit] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']].find(([size]) => largest >= size) ?? [1, 'ns'];
    return ns === 0 ? '0' : `${plain(ns / size)} ${unit}`;
  }
  const rate = value => value >= 1000 ? `${plain(Math.round(value / 100) / 10)}k` : plain(value >= 10 ? Math.round(value) : Math.round(value * 10) / 10);

  /** Round values within [from, to], about `count` of them. */
  function ticks(from, to, count) {
    const raw = (to - from) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw * 0.999);
    const values = [];
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to * (1 + 1e-12); i++) values.push(i * step);
    return values;
  }
  function logTicks(from, to) {
    const values = [];
    const decades = Math.log10(to / from);
    for (let power = 10 ** Math.floor(Math.log10(from)); power <= to; power *= 10) {
      for (const factor of decades <= 2 ? [1, 2, 5] : [1]) {
        if (factor * power >= from && factor * power <= to) values.push(factor * power);
      }
    }
    return values;
  }

  // --------------------------------------------------------------- heat maps

  for (const cells of $$('.heat-map .cells')) {
    const { rows, column, unit, values } = JSON.parse($('script', cells).textContent);
    const columns = Math.max(...values.map(row => row.length));
    const mark = document.createElement('i');
    mark.className = 'cursor';
    mark.hidden = true;
    mark.style.width = `${100 / columns}%`;
    mark.style.height = `${100 / rows.length}%`;
    cells.append(mark);
    let place = null;
    function at(row, index, x, y) {
      place = { row: Math.min(Math.max(row, 0), rows.length - 1), index: Math.min(Math.max(index, 0), columns - 1) };
      mark.hidden = false;
      mark.style.left = `${place.index / columns * 100}%`;
      mark.style.top = `${place.row / rows.length * 100}%`;
      const box = mark.getBoundingClientRect();
      const value = values[place.row][place.index];
      showTip(`${rows[place.row]}, ${column} ${place.index}\n${value === undefined ? 'none' : `${value} ${unit}`}`, x ?? box.right, y ?? box.bottom);
    }
    function leave() {
      mark.hidden = true;
      place = null;
      hideTip();
    }
    cells.addEventListener('pointermove', event => {
      const box = cells.getBoundingClientRect();
      at(Math.floor((event.clientY - box.top) / box.height * rows.length),
        Math.floor((event.clientX - box.left) / box.width * columns), event.clientX, event.clientY);
      event.stopPropagation();
    });
    cells.addEventListener('pointerleave', leave);
    cells.addEventListener('blur', leave);
    cells.addEventListener('keydown', event => {
      const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!move) return;
      at((place?.row ?? 0) + move[0], (place?.index ?? -1) + move[1]);
      event.preventDefault();
    });
  }

  // ------------------------------------------------------------- token steps

  const plot = $('#token-plot');
  const data = JSON.parse($('#token-data').textContent);
  if (!plot || !data) return;
  const area = $('.area', plot);
  const side = 10000;
  const count = data.start.length;
  const phases = data.phases.map(name => ({
    name, isShown: true, group: $(`[data-phase="${name}"]`, area), key: $(`.key[data-phase="${name}"]`),
    generates: ['decode', 'draft', 'verify'].includes(name),
  }));
  const isMedian = i => !data.role || data.role[i] === 0 || data.role[i] === 2;
  let overTime = data.overTime;
  let logarithmic = data.logarithmic;
  let view, scale, at = -1;

  const x = i => overTime ? data.start[i] : i + 0.5;
  const whole = () => {
    if (!overTime) return [0, count];
    let end = Math.max(data.end, 1);
    for (let i = 0; i < count; i++) end = Math.max(end, data.start[i] + data.duration[i]);
    return [0, end];
  };
  const isShown = i => phases[data.phase[i]].isShown;

  /** First point at or after a place: the points are in order of start. */
  function firstAt(place) {
    let low = 0, high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x(middle) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The axis fits the steps that generate, where there are any in sight; see TokenChart. */
  function fit(first, last) {
    let low = Infinity, high = 0, anyHigh = 0, anyLow = Infinity;
    for (let i = first; i < last; i++) {
      if (!isShown(i)) continue;
      const ns = Math.max(data.duration[i] * data.unit, 1);
      anyHigh = Math.max(anyHigh, ns);
      anyLow = Math.min(anyLow, ns);
      if (!phases[data.phase[i]].generates) continue;
      high = Math.max(high, ns);
      low = Math.min(low, ns);
    }
    if (!high) [low, high] = [anyLow, anyHigh];
    if (!high) [low, high] = [1, 1e6];
    if (logarithmic) return { low: Math.min(low, anyLow) / 1.3, high: Math.max(high, anyHigh) * 1.3 };
    return { low: 0, high: high * 1.08 };
  }
  const y = ns => logarithmic
    ? Math.log(Math.max(ns, 1) / scale.low) / Math.log(scale.high / scale.low) : ns / scale.high;

  function axis(element, places) {
    element.replaceChildren(...places.map(([place, text, edge]) => {
      const span = document.createElement('span');
      span.textContent = text;
      span.style[edge] = `${place * 100}%`;
      if (edge === 'left' && place > 0.97) span.className = 'last';
      return span;
    }));
  }

  function draw() {
    const [from, to] = view;
    const first = firstAt(from), last = firstAt(to);
    scale = fit(first, last);
    const columns = Math.max(Math.round(area.clientWidth / 2), 50);
    const bins = phases.map(() => new Map());
    for (let i = first; i < last; i++) {
      const column = Math.min(Math.floor((x(i) - from) / (to - from) * columns), columns - 1);
      const bin = bins[data.phase[i]];
      if (bin.has(column)) bin.get(column).push(i);
      else bin.set(column, [i]);
    }
    const px = place => Math.round(Math.min(Math.max(place, 0), 1) * side);
    const py = i => Math.round((1 - y(data.duration[i] * data.unit)) * side);
    phases.forEach((phase, number) => {
      phase.group.classList.toggle('sparse', last - first <= 300);
      let dots = '', spread = '', above = '';
      for (const [column, all] of phase.isShown ? bins[number] : []) {
        const middle = px((column + 0.5) / columns);
        const inside = all.filter(i => py(i) >= 0);
        if (inside.length < all.length) above += `M${middle} 0V400`;
        if (inside.length <= 3) {
          for (const i of inside) dots += `M${px((x(i) - from) / (to - from))} ${py(i)}h0`;
        } else {
          const places = inside.map(py).sort((a, b) => a - b);
          const medians = inside.filter(isMedian).map(py).sort((a, b) => a - b);
          spread += `M${middle} ${places[places.length - 1]}V${places[0]}`;
          dots += `M${middle} ${(medians.length ? medians : places)[(medians.length || places.length) >> 1]}h0`;
        }
      }
      $('.dots', phase.group).setAttribute('d', dots);
      $('.spread', phase.group).setAttribute('d', spread);
      $('.above', phase.group).setAttribute('d', above);
    });

    const values = logarithmic ? logTicks(scale.low, scale.high) : ticks(0, scale.high, 5);
    const largest = values[values.length - 1] ?? 0;
    const label = ns => logarithmic ? tickDuration(ns, ns) : tickDuration(ns, largest);
    axis($('.y-axis', plot), values.map(ns => [y(ns), label(ns), 'bottom']));
    const right = $('.y-axis.right', plot);
    if (right) axis(right, values.filter(ns => ns > 0).map(ns => [y(ns), rate(1e9 / ns), 'bottom']));
    const xs = ticks(from, to, area.clientWidth < 500 ? 3 : 6).filter(place => overTime || Number.isInteger(place));
    const furthest = (xs[xs.length - 1] ?? 0) * data.unit;
    axis($('.x-axis', plot), xs.map(place => [
      (place - from) / (to - from),
      overTime ? tickDuration(place * data.unit, furthest) : String(data.step[Math.min(place, count - 1)]), 'left',
    ]));
    $('.x-name', plot).textContent = overTime ? 'time since the first step' : 'token steps, in order';
    $('.grid-lines', plot).innerHTML = values.map(ns => `<path class="grid" d="M0 ${Math.round((1 - y(ns)) * side)}H${side}"/>`).join('');
    const bands = $('.bands', plot);
    if (bands) {
      bands.style.display = overTime ? '' : 'none';
      const stretch = whole()[1] / (to - from);
      bands.setAttribute('transform', `translate(${-from / (to - from) * side} 0) scale(${stretch} 1)`);
    }
    tools.x.textContent = overTime ? 'x: time' : 'x: step';
    tools.y.textContent = logarithmic ? 'y: log' : 'y: linear';
    placeCursor();
  }

  // ---- pointing

  const cursor = document.createElement('i');
  cursor.className = 'cursor';
  cursor.hidden = true;
  const selection = document.createElement('i');
  selection.className = 'selection';
  selection.hidden = true;
  area.append(cursor, selection);

  function placeCursor() {
    const place = at < 0 ? -1 : (x(at) - view[0]) / (view[1] - view[0]);
    cursor.hidden = place < 0 || place > 1;
    if (cursor.hidden) return;
    cursor.style.left = `${place * 100}%`;
    cursor.style.bottom = `${Math.min(y(data.duration[at] * data.unit), 1) * 100}%`;
  }

  function describe(i) {
    const time = list => duration(list[i] * data.unit);
    const parts = [['operators', data.operators], ['barriers', data.barriers], ['other backends', data.backends], ['engine', data.engine]]
      .filter(([, list]) => list).map(([name, list]) => `${name} ${time(list)}`);
    const ns = data.duration[i] * data.unit;
    const lines = [`step ${data.step[i]}, ${data.phases[data.phase[i]]}: ${duration(ns)}`];
    const facts = [];
    if (data.tokens[i] !== null) {
      facts.push(`${data.tokens[i]} ${data.tokens[i] === 1 ? 'token' : 'tokens'}`);
      if (ns > 0) facts.push(`${(data.tokens[i] * 1e9 / ns).toFixed(1)} tokens/s`);
    }
    if (data.position[i] !== null) facts.push(`position ${data.position[i]}`);
    facts.push(`at ${duration(data.start[i] * data.unit)}`);
    lines.push(facts.join(', '));
    if (parts.length) lines.push(parts.join(', '));
    lines.push(`then sampling ${time(data.sampling)}, outside ${time(data.outside)}`);
    if (data.role?.[i]) lines.push(`${['', 'fastest', 'median', 'slowest'][data.role[i]]} of ${data.group} steps`);
    return lines.join('\n');
  }

  function point(i, clientX, clientY) {
    at = i;
    placeCursor();
    if (i < 0) return hideTip();
    const box = cursor.getBoundingClientRect();
    showTip(describe(i), clientX ?? box.right, clientY ?? box.bottom);
  }

  function nearest(clientX, clientY) {
    const box = area.getBoundingClientRect();
    const place = clientX - box.left, height = box.bottom - clientY;
    const perPixel = (view[1] - view[0]) / box.width;
    let best = -1, least = Infinity;
    const reach = 24;
    for (let i = firstAt(view[0] + (place - reach) * perPixel); i < count; i++) {
      const dx = (x(i) - view[0]) / perPixel - place;
      if (dx > reach) break;
      if (!isShown(i)) continue;
      const dy = Math.min(y(data.duration[i] * data.unit), 1) * box.height - height;
      const distance = dx * dx + dy * dy / 4;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  // ---- zooming

  function show(from, to) {
    const [start, end] = whole();
    const least = overTime ? 20 : 4;
    const width = Math.min(Math.max(to - from, least), end - start);
    const left = Math.min(Math.max(from, start), end - width);
    view = [left, left + width];
    draw();
  }
  function zoom(factor, around = 0.5) {
    const [from, to] = view;
    const middle = from + (to - from) * around;
    show(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }
  const fraction = clientX => {
    const box = area.getBoundingClientRect();
    return Math.min(Math.max((clientX - box.left) / box.width, 0), 1);
  };

  let dragFrom = null;
  area.addEventListener('pointerdown', event => {
    if (event.button !== 0) return;
    dragFrom = event.clientX;
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener('pointermove', event => {
    if (dragFrom === null || Math.abs(event.clientX - dragFrom) < 5) {
      return point(nearest(event.clientX, event.clientY), event.clientX, event.clientY);
    }
    const [a, b] = [fraction(dragFrom), fraction(event.clientX)].sort((a, b) => a - b);
    selection.hidden = false;
    selection.style.left = `${a * 100}%`;
    selection.style.right = `${(1 - b) * 100}%`;
    hideTip();
  });
  const endDrag = event => {
    if (!selection.hidden && event.type === 'pointerup') {
      const [a, b] = [fraction(dragFrom), fraction(event.clientX)].sort((a, b) => a - b);
      const [from, to] = view;
      show(from + (to - from) * a, from + (to - from) * b);
    }
    selection.hidden = true;
    dragFrom = null;
  };
  area.addEventListener('pointerup', endDrag);
  area.addEventListener('pointercancel', endDrag);
  area.addEventListener('pointerleave', () => { if (dragFrom === null) point(-1); });
  area.addEventListener('dblclick', () => show(...whole()));
  area.addEventListener('wheel', event => {
    // Without a key the wheel scrolls the page.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, fraction(event.clientX));
  }, { passive: false });

  area.tabIndex = 0;
  area.setAttribute('role', 'group');
  area.setAttribute('aria-label', 'Token steps. Arrow keys go from step to step, plus and minus zoom, 0 shows all.');
  area.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      let i = at < 0 ? (step > 0 ? firstAt(view[0]) - 1 : firstAt(view[1])) : at;
      do i += step; while (i >= 0 && i < count && !isShown(i));
      if (i < 0 || i >= count) return event.preventDefault();
      const [from, to] = view;
      if (x(i) < from || x(i) > to) show(x(i) - (to - from) / 2, x(i) + (to - from) / 2);
      point(i);
    } else if (event.key === '+' || event.key === '=') {
      zoom(0.5, at < 0 ? 0.5 : (x(at) - view[0]) / (view[1] - view[0]));
    } else if (event.key === '-') {
      zoom(2, at < 0 ? 0.5 : (x(at) - view[0]) / (view[1] - view[0]));
    } else if (event.key === '0') {
      show(...whole());
    } else {
      return;
    }
    event.preventDefault();
  });
  area.addEventListener('blur', () => point(-1));

  const tools = {};
  for (const button of $$('#token-tools button')) tools[button.dataset.do] = button;
  $('#token-tools').hidden = false;
  tools.in.addEventListener('click', () => zoom(0.5));
  tools.out.addEventListener('click', () => zoom(2));
  tools.all.addEventListener('click', () => show(...whole()));
  tools.x.addEventListener('click', () => {
    // What is in sight stays in sight.
    const first = Math.min(firstAt(view[0]), count - 1), last = Math.max(firstAt(view[1]) - 1, first);
    overTime = !overTime;
    show(overTime ? x(first) : first, overTime ? x(last) + data.duration[last] : last + 1);
  });
  tools.y.addEventListener('click', () => {
    logarithmic = !logarithmic;
    draw();
  });
  for (const phase of phases) {
    phase.key.addEventListener('click', () => {
      phase.isShown = !phase.isShown;
      phase.key.setAttribute('aria-pressed', String(phase.isShown));
      draw();
    });
  }
  view = whole();
  draw();
  let resizing;
  addEventListener('resize', () => {
    clearTimeout(resizing);
    resizing = setTimeout(draw, 100);
  });
})();
