// The theme of Airflow's frame, live; outside of it that of its last choice, or of the system.
(() => {
  "use strict";
  const root = document.documentElement;
  const outer = (() => {
    try {
      return window.parent !== window ? window.parent.document.documentElement : null;
    } catch {
      return null;
    }
  })();
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    if (outer && (outer.classList.contains("dark") || outer.classList.contains("light"))) {
      return outer.classList.contains("dark");
    }
    const theme = (chosen() || "").replaceAll('"', "");
    return theme === "dark" || (theme !== "light" && system.matches);
  };
  const show = () => {
    const was = root.classList.contains("dark");
    root.classList.toggle("dark", isDark());
    if (was !== root.classList.contains("dark")) {
      document.dispatchEvent(new Event("themechange"));
    }
  };
  show();
  system.addEventListener("change", show);
  window.addEventListener("storage", show);
  if (outer) {
    new MutationObserver(show).observe(outer, { attributes: true, attributeFilter: ["class"] });
  }
})();
