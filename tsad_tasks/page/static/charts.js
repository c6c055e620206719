// The one place that knows the chart library (third_party/uplot): a series with its band and marks.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Of what was said of an incident: how high its strip is, in pixels.
const SAID = 5;
const shade = (context, plot, spans, fill, most = Infinity) => {
  context.save();
  context.fillStyle = fill;
  const { left, top, width } = plot.bbox;
  const height = Math.min(plot.bbox.height, most * devicePixelRatio);
  for (const [from, to] of spans) {
    const start = Math.max(plot.valToPos(from, "x", true), left);
    const end = Math.min(plot.valToPos(to, "x", true), left + width);
    if (end > start) {
      context.fillRect(start, top, end - start, height);
    }
  }
  context.restore();
};

const hatched = (context, plot, spans) => {
  const { top, height } = plot.bbox;
  context.save();
  context.strokeStyle = colour("faint");
  context.lineWidth = 1;
  for (const [from, to] of spans) {
    const start = plot.valToPos(from, "x", true);
    const end = plot.valToPos(to, "x", true);
    context.beginPath();
    context.rect(start, top, Math.max(end - start, 2), height);
    context.save();
    context.clip();
    context.beginPath();
    for (let x = start - height; x < end; x += 8) {
      context.moveTo(x, top + height);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
  }
  context.restore();
};

const gapsOf = (times, values) => {
  const gaps = [];
  let from = null;
  for (let i = 0; i < times.length; i += 1) {
    if (values[i] === null && from === null) {
      from = times[Math.max(i - 1, 0)];
    } else if (values[i] !== null && from !== null) {
      gaps.push([from, times[i]]);
      from = null;
    }
  }
  if (from !== null) {
    gaps.push([from, times[times.length - 1]]);
  }
  return gaps;
};

/* Draws one series.
   shown: times and values (null is unknown), expected and half (null: no band), weekBefore, limits (a threshold), flags (positions),
   spans ({during, labels, maintenance}), decimals, zone. sync: charts of one key share cursor and zoom. */
const drawSeries = (element, shown, { sync, withTimes, onCursor, onZoom }) => {
  const { times, values, expected, half } = shown;
  const edge = (sign) => expected.map((one) => (one === null ? null : one + sign * half));
  const columns = [times];
  const series = [{}];
  const bands = [];
  // What is pushed first lies below.
  if (expected && half !== null) {
    columns.push(edge(1), edge(-1));
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    series.push(hidden, { ...hidden });
    bands.push({ series: [1, 2], fill: colour("band") });
  }
  if (shown.limits) {
    columns.push(shown.limits);
    series.push({ stroke: colour("flag"), width: 1, dash: [5, 4], points: { show: false } });
  }
  if (shown.weekBefore) {
    columns.push(shown.weekBefore);
    series.push({ stroke: colour("week"), width: 1, dash: [2, 2], points: { show: false } });
  }
  columns.push(values);
  series.push({ stroke: colour("actual"), width: 1.5, points: { show: false }, spanGaps: false });
  const flags = new Set(shown.flags);
  const axis = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "11px DejaVu Sans, sans-serif" };
  const ground = (plot) => {
    shade(plot.ctx, plot, shown.spans.maintenance, colour("upkeep"));
    shade(plot.ctx, plot, shown.spans.labels, colour("label"));
    shade(plot.ctx, plot, shown.spans.during, colour("during"));
    // What was said of an incident is mostly said of its very time.
    shade(plot.ctx, plot, shown.spans.maintenance, colour("upkeep"), 2 * SAID);
    shade(plot.ctx, plot, shown.spans.labels, colour("label"), SAID);
    hatched(plot.ctx, plot, gapsOf(times, values));
  };
  const marks = (plot) => {
    const { ctx } = plot;
    ctx.save();
    ctx.fillStyle = colour("flag");
    const { min, max } = plot.scales.x;
    for (const i of flags) {
      // Beyond the zoom there is no plot.
      if (values[i] !== null && values[i] !== undefined && times[i] >= min && times[i] <= max) {
        ctx.beginPath();
        ctx.arc(plot.valToPos(times[i], "x", true), plot.valToPos(values[i], "y", true), 1.8 * devicePixelRatio, 0, 7);
        ctx.fill();
      }
    }
    ctx.restore();
  };
  return new uPlot(
    {
      width: element.clientWidth,
      height: element.clientHeight,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), shown.zone),
      cursor: { sync: { key: sync, setSeries: false }, drag: { x: true, y: false }, points: { size: 6 }, y: false },
      legend: { show: false },
      padding: [6, 24, 0, 0],
      scales: { x: { time: true } },
      series,
      bands,
      axes: [
        { ...axis, size: withTimes ? 28 : 2, values: withTimes ? (_, at) => at.map((one) => clockOf(one, shown.zone)) : (_, at) => at.map(() => "") },
        { ...axis, size: 52 },
      ],
      hooks: {
        drawClear: [ground],
        draw: [marks],
        setCursor: [(plot) => onCursor(plot.cursor.idx)],
        setScale: [(plot, key) => key === "x" && onZoom && onZoom(plot, plot.scales.x.min, plot.scales.x.max)],
      },
    },
    columns,
    element,
  );
};

const formats = new Map();
const formatOf = (zone, options) => {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }));
  }
  return formats.get(key);
};

const clockOf = (at, zone) => {
  const when = new Date(at * 1e3);
  const clock = formatOf(zone, { hour: "2-digit", minute: "2-digit" }).format(when);
  return clock === "00:00" ? formatOf(zone, { day: "numeric", month: "short" }).format(when) : clock;
};

const timeOf = (at, zone) =>
  formatOf(zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" }).format(new Date(at * 1e3));
