// One incident: its charts and heat map, its verdict by button or key, and what else is said of it.
"use strict";

(() => {
  let panel = null;
  const here = location.pathname.replace(/\/$/, "");
  const shown = { first: null, rest: null, charts: [], week: false, range: null };
  let zooming = false;

  const read = async (path) => {
    const answer = await fetch(path, { credentials: "same-origin" });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    return answer.json();
  };

  const spans = () => ({
    during: [shown.first.incident],
    labels: shown.first.labels.map(([from, to]) => [from, to]),
    maintenance: shown.first.maintenance.map(([from, to]) => [from, to]),
  });

  const cursorText = (i) => {
    const { times, zone, channels, error } = shown.first;
    const value = (one, decimals, unit) => (one === null || one === undefined ? "no data" : `${one.toFixed(decimals).replace("-", "−")}${unit ? ` ${unit}` : ""}`);
    const parts = channels.map((one) => `${one.name} ${value(one.values[i], one.decimals, one.unit)}${one.expected && one.expected[i] !== null ? ` (${value(one.expected[i], one.decimals, "")} expected)` : ""}`);
    return `${timeOf(times[i], zone)} · error ${error.values[i] === null ? "unknown" : error.values[i].toPrecision(3)} · ${parts.join(" · ")}`;
  };

  const onCursor = (i) => {
    if (i !== null && i !== undefined) {
      shown.at = i;
      document.getElementById("cursor").textContent = cursorText(i);
    }
  };

  const zoom = (from, to) => {
    zooming = true;
    shown.range = [from, to];
    for (const chart of shown.charts) {
      chart.setScale("x", { min: from, max: to });
    }
    zooming = false;
    drawHeat();
  };

  const onZoom = (chart, from, to) => {
    if (!zooming && shown.range && (from !== shown.range[0] || to !== shown.range[1])) {
      zoom(from, to);
    }
  };

  const drawOne = (element, channel, isLast) => {
    const { first } = shown;
    const isError = channel === "error";
    const what = isError
      ? { values: first.error.values, limits: first.error.thresholds, expected: null, half: null, decimals: 3 }
      : { ...channel, weekBefore: shown.week ? channel.week_before : null };
    element.replaceChildren();
    const chart = drawSeries(
      element,
      { times: first.times, zone: first.zone, flags: first.flags, spans: spans(), ...what },
      { sync: "incident", withTimes: isLast, onCursor, onZoom },
    );
    shown.charts.push(chart);
  };

  const drawAll = () => {
    if (!shown.first) {
      return;
    }
    for (const chart of shown.charts) {
      chart.destroy();
    }
    shown.charts = [];
    const plots = [...panel.querySelectorAll(".plot")].filter((one) => one.offsetParent !== null);
    plots.forEach((element, place) => {
      const name = element.dataset.plot;
      const channel = name === "error" ? "error" : shown.first.channels[Number(name)] || (shown.rest && shown.rest.channels[Number(name) - shown.first.channels.length]);
      if (channel) {
        drawOne(element, channel, place === plots.length - 1 || place === shown.first.channels.length);
      }
    });
    const { times } = shown.first;
    zoom(...(shown.range || [times[0], times[times.length - 1]]));
  };

  const mix = (low, high, share) => {
    const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    return `rgb(${[0, 1, 2].map((i) => Math.round(part(low, i) + share * (part(high, i) - part(low, i)))).join(" ")})`;
  };

  // One hue by luminance; what is missing is hatched.
  const drawHeat = () => {
    const canvas = document.getElementById("heat");
    if (!canvas || !shown.first || !shown.first.heat) {
      return;
    }
    const { starts, bucket_s: bucket, rows, text } = shown.first.heat;
    const [from, to] = shown.range;
    const ratio = devicePixelRatio || 1;
    const left = 52;
    const row = 18;
    const width = canvas.parentElement.clientWidth;
    canvas.width = width * ratio;
    canvas.height = rows.length * row * ratio;
    canvas.style.height = `${rows.length * row}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const x = (at) => left + ((width - left - 24) * (Math.min(Math.max(at, from), to) - from)) / (to - from);
    const [low, high, faint] = ["heat-low", "heat-high", "faint"].map(colour);
    rows.forEach((shades, y) => {
      shades.forEach((one, i) => {
        const start = x(starts[i]);
        const end = x(starts[i] + bucket);
        if (end - start < 0.2) {
          return;
        }
        if (one === null) {
          context.strokeStyle = faint;
          context.lineWidth = 0.7;
          context.beginPath();
          for (let at = start; at < end; at += 5) {
            context.moveTo(at, y * row + row - 2);
            context.lineTo(Math.min(at + 5, end), y * row + 2);
          }
          context.stroke();
          return;
        }
        context.fillStyle = mix(low, high, one / 255);
        context.fillRect(start, y * row + 1, Math.max(end - start - 0.5, 0.5), row - 2);
      });
    });
    context.strokeStyle = colour("flag");
    context.lineWidth = 1.2;
    const [began, ended] = shown.first.incident;
    context.strokeRect(x(began), 0.6, Math.max(x(ended) - x(began), 1), rows.length * row - 1.2);
    document.getElementById("heattext").textContent = text;
  };

  const press = (button, isOn) => button.setAttribute("aria-pressed", String(isOn));

  const start = async () => {
    try {
      shown.first = await read(panel.dataset.source);
      drawAll();
      performance.mark("tsad-painted");
      panel.dataset.painted = "";
    } catch (error) {
      document.getElementById("cursor").textContent = `The charts could not be read (${error.message}); the table below has the figures.`;
    }
  };

  // Of the part with the plots, which may come later than the page.
  const wire = () => {
    panel = document.getElementById("charts");
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => {
        if (!shown.first) {
          return;
        }
        const { times, incident } = shown.first;
        const air = Math.max((incident[1] - incident[0]) * 0.1, 300);
        zoom(...(button.dataset.zoom === "incident" ? [incident[0] - air, incident[1] + air] : [times[0], times[times.length - 1]]));
        document.querySelectorAll("[data-zoom]").forEach((one) => press(one, one === button));
      });
    }
    for (const button of document.querySelectorAll("[data-from]")) {
      button.addEventListener("click", () => {
        if (shown.first) {
          zoom(Number(button.dataset.from), Number(button.dataset.to));
          document.querySelectorAll("[data-zoom]").forEach((one) => press(one, false));
          panel.scrollIntoView({ block: "nearest" });
        }
      });
    }
    document.getElementById("week").addEventListener("click", (event) => {
      shown.week = !shown.week;
      press(event.currentTarget, shown.week);
      drawAll();
    });
    const more = document.getElementById("more");
    if (more) {
      more.addEventListener("click", async () => {
        try {
          shown.rest = await read(panel.dataset.rest);
        } catch (error) {
          tell(`The other channels could not be read (${error.message}).`);
          return;
        }
        document.getElementById("rest").hidden = false;
        more.remove();
        drawAll();
      });
    }
    panel.addEventListener("dblclick", () => document.querySelector("[data-zoom=all]").click());
    start();
  };

  // What was said shows on the page that the server gives next.
  const write = async (what, words) => {
    if (await say(`${here}/${what}`, words)) {
      location.reload();
    }
  };
  const noteOf = () => document.getElementById("note").value;
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.addEventListener("click", () => write("verdict", { verdict: button.dataset.verdict, note: noteOf() }));
  }
  for (const button of document.querySelectorAll("[data-write]")) {
    button.addEventListener("click", () => write(button.dataset.write, JSON.parse(button.dataset.body)));
  }
  document.getElementById("snooze").addEventListener("click", () => write("triage", { taken: true, snooze_h: Number(document.getElementById("hours").value) }));
  for (const form of document.querySelectorAll("form[data-form]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      write(form.dataset.form, Object.fromEntries(new FormData(form)));
    });
  }
  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById("sql").textContent);
      tell("Copied.");
    } catch {
      tell("Not copied: the browser does not allow it.");
    }
  });

  const typing = (target) => target.closest("input, select, textarea");
  document.addEventListener("keydown", (event) => {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const button = document.querySelectorAll("[data-verdict]")[Number(event.key) - 1];
    if (/^[1-5]$/.test(event.key) && button && !button.disabled) {
      button.focus();
      tell(`Press Enter to say: ${button.firstChild.textContent.trim()}`);
      return;
    }
    if (!shown.first || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) {
      return;
    }
    event.preventDefault();
    const n = shown.first.times.length;
    const step = (event.shiftKey ? 10 : 1) * (event.key === "ArrowLeft" ? -1 : 1);
    shown.at = Math.min(Math.max((shown.at ?? Math.floor(n / 2)) + step, 0), n - 1);
    const line = document.getElementById("cursor");
    line.setAttribute("aria-live", "polite");
    onCursor(shown.at);
    const [chart] = shown.charts;
    if (chart) {
      chart.setCursor({ left: chart.valToPos(shown.first.times[shown.at], "x"), top: 10 });
    }
  });
  document.addEventListener("themechange", drawAll);
  let resized = null;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(drawAll, 150);
  });

  // The whole page, once its model has answered, lends what this one lacks.
  const waiting = document.getElementById("waiting");
  const arrive = async () => {
    const answer = await fetch(waiting.dataset.whole, { credentials: "same-origin" });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const whole = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of whole.querySelectorAll("[data-part]")) {
      document.querySelector(`[data-part="${part.dataset.part}"]`).replaceWith(document.adoptNode(part));
    }
  };
  if (waiting) {
    arrive().then(wire, (error) => {
      waiting.textContent = `The plots could not be read (${error.message}). Load the page again to try once more.`;
    });
  } else {
    wire();
  }
})();
