// Values under the pointer: a line across the picture, and what each line has there.
for (const plot of document.querySelectorAll('.plot')) {
  const axis = name => {
    const [low, high, log] = plot.dataset[name].split(' ').map(Number);
    const value = at => { const v = low + at * (high - low); return log ? 10 ** v : v; };
    return { value, unit: plot.dataset[name + 'Unit'] };
  };
  const [x, y] = [axis('x'), axis('y')];
  const number = v => !isFinite(v) ? '' : Math.abs(v) >= 1000 ? Math.round(v).toLocaleString('en')
    : v.toPrecision(3);
  const lines = [...plot.querySelectorAll('path.line')].map(path => ({
    name: path.dataset.name,
    points: (path.getAttribute('d').match(/[-\d.]+ [-\d.]+/g) || []).map(p => p.split(' ').map(Number)),
  }));
  const cross = document.createElement('div');
  cross.className = 'cross';
  const said = document.createElement('div');
  said.className = 'said';
  plot.append(cross, said);
  const show = event => {
    const box = plot.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * 1000;
    cross.style.left = at / 10 + '%';
    const rows = lines.map(({ name, points }) => {
      const near = points.reduce((best, p) =>
        !best || Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best, null);
      return near && Math.abs(near[0] - at) < 60
        ? `${name}: ${number(y.value(1 - near[1] / 1000))} ${y.unit}` : null;
    }).filter(Boolean);
    const percent = x.unit === '%';
    const here = percent ? 100 * (1 - 10 ** -x.value(at / 1000)) : x.value(at / 1000);
    said.textContent = [`${percent ? here.toFixed(3) : number(here)} ${x.unit}`, ...rows].join('\n');
    said.style.left = at > 500 ? 'auto' : `calc(${at / 10}% + .6rem)`;
    said.style.right = at > 500 ? `calc(${100 - at / 10}% + .6rem)` : 'auto';
    plot.classList.add('pointed');
  };
  plot.addEventListener('pointermove', show);
  plot.addEventListener('pointerdown', show);
  plot.addEventListener('pointerleave', () => plot.classList.remove('pointed'));
}
