// What every page needs: telling people what was saved, and saying something to the server.
"use strict";

const tell = (text) => {
  document.getElementById("told").textContent = text;
};

// Writes demand JSON and our own header, which no form of another site can send.
const say = async (path, words) => {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json", "x-tsad": "1" },
      body: JSON.stringify(words),
    });
  } catch {
    tell("Not saved: the server does not answer.");
    return false;
  }
  if (answer.ok) {
    return true;
  }
  const said = await answer.text();
  let why = said;
  try {
    const told = JSON.parse(said);
    why = told.error || (told.detail || []).map((one) => one.msg).join("; ") || said;
  } catch {
    // Plain text.
  }
  tell(`Not saved: ${why}`);
  return false;
};

for (const lanes of document.querySelectorAll("svg[data-height]")) {
  lanes.style.height = `${lanes.dataset.height}px`;
}

// A DAG run is started by Airflow's own interface, with the rights and in the name of who is logged in.
const askAirflow = (button, path, said) => fetch(`${button.dataset.top}../api/v2/dags/${encodeURIComponent(button.dataset.dag)}${path}`, {
  method: said ? "POST" : "GET",
  credentials: "same-origin",
  headers: { "content-type": "application/json" },
  body: said && JSON.stringify(said),
});
const startDag = async (button, conf) => {
  button.disabled = true;
  try {
    const note = conf ? conf.why : "Started on the page of anomalies";
    const answer = await askAirflow(button, "/dagRuns", { logical_date: new Date().toISOString(), note, conf });
    const said = await answer.json();
    if (answer.ok) {
      const dag = await (await askAirflow(button, "")).json();
      tell(`Started ${said.dag_id}: ${said.dag_run_id}${dag.is_paused ? ", which waits: the DAG is paused" : ""}`);
    } else {
      tell(`Not started: ${typeof said.detail === "string" ? said.detail : JSON.stringify(said.detail)}`);
    }
  } catch {
    tell("Not started: the server does not answer.");
  }
  button.disabled = false;
};

// The frame's sandbox refuses confirm and prompt without a word, and lets a dialog be.
const change = document.getElementById("change");
const askWhy = (button) => {
  const { action, version } = button.dataset;
  document.getElementById("change-what").textContent = `${button.textContent}?`;
  for (const name of ["roll_back", "promote"]) {
    document.getElementById(`change-${name}`).hidden = name !== action;
  }
  change.returnValue = "";
  change.onclose = () => {
    if (change.returnValue === "start") {
      startDag(button, { action, version: Number(version), why: document.getElementById("change-why").value });
    }
  };
  change.showModal();
};
for (const button of document.querySelectorAll("button[data-dag]")) {
  button.addEventListener("click", () => (button.dataset.action ? askWhy(button) : startDag(button)));
}
