// The hydrograph: what was measured in the last hours, its thresholds, and the rain from above.
const HOUR_US = 3600 * 1e6;
const GAP_STEPS = 3; // a gap is longer than so many usual steps, and is not bridged
const RAIN_SHARE = 0.26; // of the plot's height, from the top
const LABEL_GAP_PX = 15;
const USABLE = new Set([1, 2]); // QARTOD good and not evaluated

const zone = { timeZone: "Asia/Bangkok" };
const clock = new Intl.DateTimeFormat("th-TH-u-ca-buddhist", { ...zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("th-TH-u-ca-buddhist", { ...zone, day: "numeric", month: "short" });
const colour = (token) => getComputedStyle(document.documentElement).getPropertyValue(`--${token}`).trim();
const LINE = { 0: ["s3", "s3", 2.4], 1: ["s1-line", "s1-ink", 1.6], 2: ["s2", "s2-line", 1.6], 3: ["s3-line", "s3-line", 1.6] };
const TINT = { 0: "s3-tint", 1: "s1-tint", 2: "s2-tint", 3: "s3-tint" };

let nowUs = Date.parse(document.getElementById("now").dateTime) * 1000;
const charts = new Map(); // element -> chart

// --- data ------------------------------------------------------------------------------------------------------------
async function fetchSeries(path, windowUs) {
  // Up to well after "now": the clock on this screen may be a little behind the box.
  const range = `from=${nowUs - windowUs}&to=${nowUs + windowUs}`;
  const answer = await fetch(`/api/v1/series/${path}?${range}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  const { times_us, values, flags } = await answer.json();
  return times_us.map((time, i) => ({ time, value: values[i], flag: flags[i] })).sort((a, b) => a.time - b.time);
}

const usable = ({ value, flag }) => value !== null && USABLE.has(flag);

/** The longest step that is still bridged: three usual ones. */
function longestStep(points) {
  const steps = points.slice(1).map((p, i) => p.time - points[i].time).sort((a, b) => a - b);
  return GAP_STEPS * (steps[Math.floor(steps.length / 2)] ?? Infinity);
}

function withGaps(points) {
  const longest = longestStep(points);
  const [x, y] = [[], []];
  points.forEach((p, i) => {
    if (i && p.time - points[i - 1].time > longest) {
      x.push((p.time + points[i - 1].time) / 2e6);
      y.push(null);
    }
    x.push(p.time / 1e6);
    y.push(usable(p) ? p.value : null);
  });
  return [x, y];
}

function hourly(points) {
  const sums = new Map();
  for (const p of points.filter(usable)) {
    // Rain belongs to the hour in which it fell: a reading at 14:00 closes the hour from 13:00.
    const hour = Math.ceil(p.time / HOUR_US) * HOUR_US - HOUR_US;
    sums.set(hour, (sums.get(hour) ?? 0) + p.value);
  }
  return [...sums].map(([hour, mm]) => ({ hour, mm })).sort((a, b) => a.hour - b.hour);
}

/** Append a reading; true when others seem to lie between, so that the series must be read again. */
function add(points, [time, value, flag]) {
  const last = points.at(-1)?.time ?? -Infinity;
  if (time <= last) return false;
  const leap = time - last > longestStep(points);
  points.push({ time, value, flag });
  return leap;
}

// --- one chart -------------------------------------------------------------------------------------------------------
class Chart {
  constructor(host) {
    this.host = host;
    const { station, quantity, rain, thresholds } = host.dataset;
    this.key = `${station}/${quantity}`;
    this.rainKey = quantity === "rain_mm" ? "" : rain;
    this.bars = quantity === "rain_mm";
    this.windowUs = Number(host.dataset.windowH) * HOUR_US;
    // A threshold of rain is a sum over many hours; a line on hourly bars would say something else.
    this.thresholds = this.bars ? [] : JSON.parse(thresholds);
    this.points = [];
    this.rain = [];
  }

  async load() {
    this.loading = true;
    try {
      [this.points, this.rain] = await Promise.all(
        [this.key, this.rainKey].map((key) => (key ? fetchSeries(key, this.windowUs) : [])),
      );
      await document.fonts.ready;
      nowUs = Math.max(nowUs, this.points.at(-1)?.time ?? 0);
    } catch {
      if (!this.plot) this.tell("อ่านข้อมูลย้อนหลังไม่ได้");
      return;
    } finally {
      this.loading = false;
    }
    if (this.plot) {
      this.refresh();
      return;
    }
    this.draw();
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.host);
  }

  tell(text) {
    const note = document.createElement("p");
    note.className = "hydro-note";
    note.textContent = text;
    this.host.replaceChildren(note);
  }

  take(series) {
    const fresh = series[this.key];
    const rain = this.rainKey && series[this.rainKey];
    const leaps = [fresh && add(this.points, fresh), rain && add(this.rain, rain)];
    if (leaps.includes(true) && !this.loading) this.load();
    for (const list of [this.points, this.rain]) {
      while (list.length && list[0].time < nowUs - this.windowUs) list.shift();
    }
    this.refresh();
  }

  data() {
    if (this.bars) return [[(nowUs - this.windowUs) / 1e6, nowUs / 1e6], [null, null]];
    return withGaps(this.points);
  }

  refresh() {
    if (!this.plot) return;
    this.hours = hourly(this.bars ? this.points : this.rain);
    this.plot.setData(this.data());
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width && height) this.plot.setSize({ width, height });
  }

  levelRange() {
    if (this.bars) return [0, Math.max(5, ...this.hours.map((h) => h.mm)) * 1.15];
    const values = [...this.points.filter(usable).map((p) => p.value), ...this.thresholds.map((t) => t.value)];
    if (!values.length) return [0, 1];
    const low = Math.min(...values);
    const high = Math.max(...values);
    const margin = Math.max((high - low) * 0.12, 0.1);
    this.top = high + margin;
    const floor = this.key.endsWith("_m") ? low - margin : Math.max(0, low - margin);
    return [floor, this.rainKey ? floor + (this.top - floor) / (1 - RAIN_SHARE) : this.top];
  }

  draw() {
    this.hours = hourly(this.bars ? this.points : this.rain);
    const ratio = devicePixelRatio;
    const axis = { font: `12.5px ${colour("font")}`, stroke: colour("ink2"), ticks: { show: false } };
    const grid = { stroke: colour("line"), width: 1 };
    const shown = (_, splits) => splits.map((v) => (this.rainKey && this.top !== undefined && v > this.top ? null : v));
    this.host.replaceChildren();
    this.plot = new uPlot(
      {
        width: Math.max(this.host.clientWidth, 200),
        height: Math.max(this.host.clientHeight, 200),
        legend: { show: false },
        cursor: { show: false },
        padding: [this.rainKey ? 20 : 6, this.thresholds.length ? 92 : 16, 0, 0],
        scales: { x: { range: () => [(nowUs - this.windowUs) / 1e6, (nowUs + this.windowUs * 0.03) / 1e6] }, y: { range: () => this.levelRange() } },
        axes: [
          { ...axis, grid: { ...grid }, space: 64, values: (_, at) => at.map(label), splits: hoursOf },
          { ...axis, grid: { ...grid, filter: shown }, filter: shown, size: 56, values: (_, at) => at.map((v) => (v === null ? "" : v.toFixed(this.bars || !this.key.endsWith("_m") ? 0 : 2))) },
        ],
        series: [{}, { stroke: colour("water"), width: 2.4, spanGaps: false, points: { show: false } }],
        hooks: { drawClear: [(u) => this.behind(u, ratio)], draw: [(u) => this.above(u, ratio)] },
      },
      this.data(),
      this.host,
    );
  }

  /** Faint zones between thresholds, and rain: under the line. */
  behind(u, ratio) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const steps = [...this.thresholds].sort((a, b) => a.value - b.value);
    steps.forEach((step, i) => {
      const upper = u.valToPos(steps[i + 1]?.value ?? this.top, "y", true);
      const lower = u.valToPos(step.value, "y", true);
      ctx.fillStyle = colour(TINT[step.level]);
      ctx.globalAlpha = 0.75;
      ctx.fillRect(bbox.left, upper, bbox.width, lower - upper);
    });
    ctx.globalAlpha = 1;
    if (this.bars) this.rainUp(u);
    else if (this.rainKey) this.rainDown(u, ratio);
    ctx.restore();
  }

  barSpan(u, hour) {
    const left = u.valToPos(hour / 1e6, "x", true);
    const right = u.valToPos(Math.min(hour + HOUR_US, nowUs) / 1e6, "x", true);
    return [left + 1, Math.max(1, right - left - 2)];
  }

  rainUp(u) {
    u.ctx.fillStyle = colour("rain");
    for (const { hour, mm } of this.hours) {
      const [left, width] = this.barSpan(u, hour);
      const top = u.valToPos(mm, "y", true);
      u.ctx.fillRect(left, top, width, u.bbox.top + u.bbox.height - top);
    }
  }

  rainDown(u, ratio) {
    const { ctx, bbox } = u;
    const most = 10 * Math.ceil(Math.max(20, ...this.hours.map((h) => h.mm)) / 10);
    const scale = (bbox.height * RAIN_SHARE * 0.9) / most;
    ctx.strokeStyle = colour("ink-edge");
    ctx.lineWidth = ratio;
    ctx.setLineDash([2 * ratio, 4 * ratio]);
    for (const mm of [most / 2, most]) {
      const y = bbox.top + mm * scale;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.fillStyle = colour("rain");
    for (const { hour, mm } of this.hours) {
      const [left, width] = this.barSpan(u, hour);
      ctx.fillRect(left, bbox.top, width, mm * scale);
    }
    this.rainScale = [most / 2, most].map((mm) => [mm, bbox.top + mm * scale]);
  }

  /** Numbers of the rain scale, outside the plot's clip. */
  rainLabels({ ctx, bbox }, ratio) {
    ctx.font = `${12 * ratio}px ${colour("font")}`;
    ctx.fillStyle = colour("ink2");
    ctx.textAlign = "right";
    for (const [mm, y] of this.rainScale) ctx.fillText(mm.toFixed(0), bbox.left - 8 * ratio, y);
    ctx.textAlign = "left";
    ctx.fillText("ฝน มม./ชม.", bbox.left, bbox.top - 9 * ratio);
  }

  /** Threshold lines with their names, suspect readings, the now-line and the dot: over the line. */
  above(u, ratio) {
    const { ctx, bbox } = u;
    const right = bbox.left + bbox.width;
    ctx.save();
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    if (this.rainKey) this.rainLabels(u, ratio);
    let last = Infinity;
    for (const { level, label: name, value } of [...this.thresholds].sort((a, b) => a.value - b.value)) {
      const [line, text, width] = LINE[level];
      const y = u.valToPos(value, "y", true);
      ctx.strokeStyle = colour(line);
      ctx.lineWidth = width * ratio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(right, y);
      ctx.stroke();
      last = Math.min(y, last - LABEL_GAP_PX * ratio);
      ctx.fillStyle = colour(text);
      ctx.font = `600 ${12 * ratio}px ${colour("font")}`;
      ctx.fillText(name, right + 7 * ratio, last, 84 * ratio);
    }
    for (const p of this.bars ? [] : this.points) {
      if (p.value === null || usable(p)) continue;
      const [x, y] = [u.valToPos(p.time / 1e6, "x", true), u.valToPos(p.value, "y", true)];
      if (y < bbox.top || y > bbox.top + bbox.height || x < bbox.left) continue;
      ctx.strokeStyle = colour("fault");
      ctx.lineWidth = 1.5 * ratio;
      ctx.strokeRect(x - 3 * ratio, y - 3 * ratio, 6 * ratio, 6 * ratio);
    }
    this.now(u, ratio);
    ctx.restore();
  }

  now(u, ratio) {
    const { ctx, bbox } = u;
    const x = u.valToPos(nowUs / 1e6, "x", true);
    ctx.strokeStyle = ctx.fillStyle = colour("now");
    ctx.lineWidth = 1.5 * ratio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const [w, h] = [40 * ratio, 18 * ratio];
    const left = Math.min(x - w / 2, bbox.left + bbox.width - w);
    ctx.beginPath();
    ctx.roundRect(left, bbox.top + bbox.height - h - 2 * ratio, w, h, 3 * ratio);
    ctx.fill();
    ctx.fillStyle = colour("card");
    ctx.font = `600 ${12 * ratio}px ${colour("font")}`;
    ctx.textAlign = "center";
    ctx.fillText("ตอนนี้", left + w / 2, bbox.top + bbox.height - h / 2 - 2 * ratio);
    const newest = this.bars ? undefined : this.points.findLast(usable);
    if (!newest) return;
    ctx.beginPath();
    ctx.arc(u.valToPos(newest.time / 1e6, "x", true), u.valToPos(newest.value, "y", true), 5 * ratio, 0, 2 * Math.PI);
    ctx.fillStyle = colour("card");
    ctx.fill();
    ctx.strokeStyle = colour("water");
    ctx.lineWidth = 2.6 * ratio;
    ctx.stroke();
  }
}

/** Whole hours in Thailand (UTC+7 without daylight saving: whole hours in UTC too), about six of them. */
function hoursOf(u, _axis, from, to) {
  const step = 3600 * [1, 2, 3, 6].find((hours) => (to - from) / (3600 * hours) < 7);
  const offset = 7 * 3600;
  const marks = [];
  for (let t = Math.ceil((from + offset) / step) * step - offset; t <= to; t += step) marks.push(t);
  return marks;
}

function label(seconds) {
  const text = clock.format(seconds * 1000);
  return text === "00:00" ? day.format(seconds * 1000) : text;
}

// --- life ----------------------------------------------------------------------------------------------------------
function look() {
  for (const [host, chart] of charts) {
    if (!host.isConnected) {
      chart.resizing?.disconnect();
      chart.plot?.destroy();
      charts.delete(host);
    }
  }
  for (const host of document.querySelectorAll(".hydro")) {
    if (charts.has(host)) continue;
    const chart = new Chart(host);
    charts.set(host, chart);
    chart.load();
  }
}

document.addEventListener("takean:readings", ({ detail: { now_us, series } }) => {
  nowUs = now_us;
  for (const chart of charts.values()) chart.take(series);
});
document.addEventListener("htmx:afterSettle", look);
look();
