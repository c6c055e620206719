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
