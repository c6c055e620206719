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
const startDag = async (button) => {
  button.disabled = true;
  const dag = encodeURIComponent(button.dataset.dag);
  try {
    const answer = await fetch(`${button.dataset.top}../api/v2/dags/${dag}/dagRuns`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ logical_date: new Date().toISOString(), note: "Started on the page of anomalies" }),
    });
    const said = await answer.json();
    tell(answer.ok ? `Started ${said.dag_id}: ${said.dag_run_id}` : `Not started: ${typeof said.detail === "string" ? said.detail : JSON.stringify(said.detail)}`);
  } catch {
    tell("Not started: the server does not answer.");
  }
  button.disabled = false;
};
for (const button of document.querySelectorAll("button[data-dag]")) {
  button.addEventListener("click", () => startDag(button));
}
